"""Hosts as a command asks them through its keeper; those that it cannot have asked, it asks itself.

A question is a function of a host. It runs until it needs an answer, which is then asked of all
hosts at once, and runs anew with the answers that are there. So a question must do nothing else.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

from genvx.core.wire.asking import call_of, reply_form
from genvx.core.wire.plain import dumps
from genvx.errors import GenvxError
from genvx.fleet.ask import attempt
from genvx.fleet.questions import Questions
from genvx.fleet.replies import read_reply
from genvx.keeping import asking
from genvx.keeping.frames import Broken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from genvx.core.requests.ask import Wanted
    from genvx.core.wire.call import Call
    from genvx.core.wire.job import Job
    from genvx.core.wire.operation import Operation
    from genvx.core.wire.reply import Reply
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.keeping.carried import Carried

# Seconds for which what the keeper has seen of a host is good enough to choose it.
_SEEN = 1.0

R = TypeVar("R")
T = TypeVar("T")


# No Exception: a question that handles errors must not take these for one.
class _Needs(BaseException):
    """A question needs the answer to a call."""

    def __init__(self, call: Call, key: bytes) -> None:
        super().__init__()
        self.call = call
        self.key = key


class _Unkept(BaseException):
    """A question needs what a keeper does not do."""


class KeptHost(Questions):
    """KeptHost is a host that is asked through a keeper."""

    def __init__(self, spec: HostSpec) -> None:
        self.name = spec.name
        self._spec = spec
        self.replies: dict[bytes, Reply | GenvxError] = {}

    @property
    def spec(self) -> HostSpec:
        """The host's line of the hostfile."""
        return self._spec

    def close(self) -> None:
        """Nothing is open."""

    def answer(self, operation: Operation[R], *, patience: float = 0.0) -> R:
        """Return the reply to an operation, once it is here."""
        call = call_of(operation, "")
        if call.operation not in asking.QUESTIONS or patience:
            raise _Unkept
        key = dumps([call.operation, call.arguments])
        reply = self.replies.get(key)
        if reply is None:
            raise _Needs(call, key)
        if isinstance(reply, GenvxError):
            raise reply
        return read_reply(reply_form(operation), reply.result())

    def __getattr__(self, name: str) -> Any:
        # What a host over SSH can do as well, such as being examined, it does itself.
        raise _Unkept


class Warmth:
    """Warmth asks hosts through the keeper of this command, if there is one.

    config, timeout, fanout, host_lost_after: as of a fleet. idle: the idle seconds after which the
    keeper ends. start: starts a keeper; called after a question for which there was none.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        config: str | None,
        timeout: float,
        fanout: int,
        host_lost_after: float,
        idle: float,
        start: Callable[[], object],
    ) -> None:
        self._environ = environ
        self._start = start
        self._options: dict[str, Any] = {
            "config": config,
            "timeout": timeout,
            "fanout": fanout,
            "host_lost_after": host_lost_after,
            "idle": idle,
        }

    def carry(self, spec: HostSpec, wanted: Wanted, job: Job) -> Carried | None:
        """Start a command on a host through a carrier; raises and returns as `carried.start`."""
        # Imported here: questions carry nothing.
        from genvx.keeping import carried

        options = {name: each for name, each in self._options.items() if name != "fanout"}
        return carried.start(self._environ, spec, wanted, job, **options)

    def stream(
        self,
        specs: Sequence[HostSpec],
        question: Callable[[Any], T],
        cold: Callable[[list[str]], Iterator[tuple[str, T | None, GenvxError | None]]],
        *,
        old: list[str] | None = None,
    ) -> Iterator[tuple[str, T | None, GenvxError | None]]:
        """Ask hosts, as HostGroup.stream does.

        cold: asks the hosts with these names without a keeper. old: where it is given, answers may
        be up to a second old, and the names of such hosts are added to it.
        """
        waiting = [KeptHost(spec) for spec in specs if asking.keepable(spec)]
        unasked = {spec.name for spec in specs}
        missing = False
        while waiting:
            needed: dict[bytes, tuple[Call, list[KeptHost]]] = {}
            for host in waiting:
                try:
                    outcome = attempt(host, question)
                except _Needs as needs:
                    needed.setdefault(needs.key, (needs.call, []))[1].append(host)
                except _Unkept:
                    continue
                else:
                    unasked.discard(host.name)
                    yield outcome
            waiting = []
            for key, (call, group) in needed.items():
                hosts = {host.name: host for host in group}
                try:
                    frames = asking.reach(self._environ)
                except Broken:
                    continue
                except asking.Missing:
                    missing = True
                    continue
                with contextlib.closing(frames):
                    asked = [host.spec for host in group]
                    for name, reply, is_old in asking.ask(
                        frames, asked, call, age=0.0 if old is None else _SEEN, **self._options
                    ):
                        if old is not None and is_old:
                            old.append(name)
                        host = hosts[name]
                        host.replies[key] = reply
                        try:
                            outcome = attempt(host, question)
                        except _Needs:
                            waiting.append(host)
                        except _Unkept:
                            continue
                        else:
                            unasked.discard(name)
                            yield outcome
        if unasked:
            yield from cold([spec.name for spec in specs if spec.name in unasked])
        if missing:
            self._start()
