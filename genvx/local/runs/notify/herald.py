"""The herald of a run: a process beside its supervisor that sees what becomes of the run, and has
people told.

It reads what the supervisor writes down, so the supervisor waits for nothing and does nothing for
it but start it. It holds neither the lease nor the run's file, and is below no subreaper of the
run, so it delays no end. It also notices that the supervisor was killed, and then tells of the end
by itself: each event is told once, by one process.
"""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.core.leases.environments import environments
from genvx.core.notifying.message import Message
from genvx.core.notifying.notifier import Event
from genvx.core.prelude import plain
from genvx.core.runs.runstate import (
    Held,
    Running,
    Stopped,
    Waiting,
    end_of,
    has_ended,
    is_over,
    name_of,
    settled,
    was_moved,
)
from genvx.core.text import printable
from genvx.core.wire.plain import Malformed, loads
from genvx.core.wire.runcodec import STATE
from genvx.errors import GenvxError
from genvx.local import facts, processes
from genvx.local.running.notices import notice
from genvx.local.runs.catalog import RunCatalog
from genvx.local.runs.clock import now
from genvx.local.runs.notify.courier import Courier
from genvx.local.runs.notify.quiet import Quietness
from genvx.local.runs.record import EVENTS, STATE_FILE

if TYPE_CHECKING:
    from genvx.core.leases.environment import Environment
    from genvx.core.notifying.notifier import Notifier
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runstate import RunState
    from genvx.local.machine import Machine
    from genvx.local.runs.record import RunDirectory

# Seconds between two looks at the record, and at the lease.
_LOOK = 2.0
_LEASE = 30.0
_MOST_STATE = 1 << 20
_MOST_EVENTS = 1000


class Herald:
    """The herald of a run.

    pipe: on it the supervisor says how all has ended; it is closed when the supervisor ends.
    """

    def __init__(
        self,
        host: Machine,
        spec: RunSpec,
        directory: RunDirectory,
        notifiers: tuple[Notifier, ...],
        pipe: int,
    ) -> None:
        self._host = host
        self._spec = spec
        self._directory = directory
        self._notifiers = notifiers
        self._pipe = pipe
        self._said = b""
        self._read: Optional[tuple[tuple[int, int], RunState]] = None
        self._courier = Courier(host.environ, self._note)
        self._waited_since: Optional[int] = None
        # Events that are told of once, or that can come no more.
        self._told: set[Event] = set()
        self._environment: Optional[Environment] = None
        self._environment_due = 0.0
        self._look_within = _LOOK
        self._devices: tuple[str, ...] = ()
        self._quietness = Quietness(host, spec.id, notifiers)

    def follow(self) -> None:
        """Follow the run to its end, and deliver what there is to tell."""
        with suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as file:
            file.write("genvx-notify")
        while Event.ENDED not in self._told:
            if not self._look():
                break
            self._courier.tend()
            if Event.ENDED not in self._told:
                self._sleep()
        self._courier.finish()

    # Looking

    def _look(self) -> bool:
        """Look at the run, and tell what is new; return whether there is more to come."""
        final = self._read_pipe()
        try:
            state = self._state()
        except Malformed:
            # Not accepted yet, or never: what was refused leaves nothing behind.
            return self._pipe >= 0 and os.fstat(self._directory.descriptor).st_nlink > 0
        if final is None and self._pipe < 0 and not is_over(state):
            found = self._without_supervisor()
            if found is None:
                return False
            state = found
        self._see(state)
        # A gang ends as its first part that failed, and only the supervisor knows that.
        if final is not None:
            self._end(final)
        elif (self._spec.part is None or self._pipe < 0) and has_ended(state):
            self._end(state)
        return True

    def _state(self) -> RunState:
        """The last state that was written down, read again only if it was replaced."""
        here = self._directory.descriptor
        with suppress(OSError):
            status = os.stat(STATE_FILE, dir_fd=here, follow_symlinks=False)
            stamp = (status.st_ino, status.st_mtime_ns)
            if self._read is None or self._read[0] != stamp:
                self._read = (stamp, self._directory.state()[0])
            return self._read[1]
        raise Malformed("there is no state yet")

    def _see(self, state: RunState) -> None:
        if isinstance(state, Waiting):
            self._waited_since = state.since.boottime_ns
        elif not is_over(state):
            self._find_environment()
            self._tell_of_turn(state)
            self._tell_of_time()
        if isinstance(state, Running):
            for notifier, idle in self._quietness.due():
                self._post(self._message(Event.IDLE, seconds=idle), [notifier])

    def _find_environment(self) -> None:
        if self._environment is not None or time.monotonic() < self._environment_due:
            return
        self._environment_due = time.monotonic() + _LEASE
        with suppress(GenvxError):
            key = (self._host.state.uid, self._spec.id)
            every = environments(self._host.store.scan().leases)
            self._environment = next((each for each in every if each.key == key), None)
            self._know_devices(() if self._environment is None else self._environment.devices)

    def _know_devices(self, uuids: tuple[str, ...]) -> None:
        """Keep the labels of devices, for what people are told."""
        if uuids and not self._devices:
            with suppress(GenvxError):
                every = self._host.survey().devices
                self._devices = tuple(each.label for each in every if each.uuid in uuids)

    def _tell_of_turn(self, state: RunState) -> None:
        if Event.TURN in self._told:
            return
        self._told.add(Event.TURN)
        since = self._waited_since or self._waiting_since()
        if since is not None and not has_ended(state):
            waited = max(0, state.since.boottime_ns - since) / 1e9
            self._post(self._message(Event.TURN, seconds=waited))

    def _waiting_since(self) -> Optional[int]:
        """Since when it has waited, by its events; we may have looked too late to see it wait."""
        first = next(iter(self._events()), None)
        return first.since.boottime_ns if isinstance(first, Waiting) else None

    def _events(self) -> list[RunState]:
        """The first states that it had, as they were written down."""
        found: list[RunState] = []
        with suppress(OSError):
            with open(self._directory.open_at(EVENTS, os.O_RDONLY), "rb") as file:
                lines = file.read(_MOST_STATE).splitlines()[:_MOST_EVENTS]
            for line in lines:
                with suppress(Malformed):  # a line of ours
                    found.append(STATE.read(loads(line)))
        return found

    def _tell_of_time(self) -> None:
        found = self._environment
        self._look_within = _LOOK
        if Event.ENDING in self._told or found is None or found.expires_ns is None:
            return
        left = (found.expires_ns - processes.boottime_ns()) / 1e9
        early = left - notice((found.expires_ns - found.since_ns) / 1e9)
        if early > 0:
            self._look_within = min(_LOOK, early)
        elif left > 0:
            self._told.add(Event.ENDING)
            self._post(self._message(Event.ENDING, left=left))

    def _end(self, state: RunState) -> None:
        if Event.ENDED in self._told:
            return
        self._told.add(Event.ENDED)
        if was_moved(state):
            return  # it goes on elsewhere
        if not self._devices:
            # It was over before we looked.
            ran = [each.devices for each in self._events() if isinstance(each, Running)]
            self._know_devices(ran[-1] if ran else ())
        end, why = end_of(state), _why(state, self._spec)
        if isinstance(state, Held):
            state = settled(state.end, state.since)
        code = None if end is None else end.exit_code
        seconds = None if end is None else end.seconds
        word = name_of(state)
        self._post(self._message(Event.ENDED, state=word, exit_code=code, seconds=seconds, why=why))

    def _read_pipe(self) -> Optional[RunState]:
        """Return how the supervisor says that all has ended; notice that it is gone."""
        if self._pipe < 0:
            return None
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        while self._pipe >= 0 and poll.poll(0):
            data = os.read(self._pipe, 65536)
            if not data or len(self._said) > _MOST_STATE:
                os.close(self._pipe)
                self._pipe = -1
            self._said += data
        with suppress(Malformed):
            return STATE.read(loads(self._said)) if self._said.endswith(b"\n") else None
        return None

    def _without_supervisor(self) -> Optional[RunState]:
        """How a run is whose supervisor was killed; None if it is deleted."""
        try:
            return RunCatalog(self._host).find(self._spec.id).state
        except GenvxError:
            return None

    def _sleep(self) -> None:
        poll = select.poll()
        for pipe in (*self._courier.pipes, *([self._pipe] if self._pipe >= 0 else ())):
            poll.register(pipe, select.POLLIN)
        # Looks at whether it is idle come with these.
        poll.poll(round(min(self._look_within, self._courier.due) * 1000) + 1)

    # Telling

    def _message(self, event: Event, **more: object) -> Message:
        spec = self._spec
        made: dict[str, object] = {
            "name": self._directory.marks().label or spec.name,
            "user": processes.owner_of(os.getuid()).name,
            "devices": self._devices,
            "command": printable(" ".join(plain(spec.argv)), 256),
            **more,
        }
        made["at"] = now().epoch_ns // 10**9
        host = spec.host or facts.hostname()
        return Message(event, "run", host, spec.id, **made)  # type: ignore[arg-type]

    def _post(self, message: Message, only: Optional[list[Notifier]] = None) -> None:
        for notifier in self._notifiers if only is None else only:
            if notifier.wants(message.event):
                self._courier.post(notifier, message)

    def _note(self, notifier: Notifier, message: Message, result: str) -> None:
        self._directory.note(
            {
                "event": "notify",
                "about": message.event.value,
                "to": notifier.label,
                "result": result,
                "epoch_ns": now().epoch_ns,
            }
        )


def _why(state: RunState, spec: RunSpec) -> str:
    if isinstance(state, Held):
        return "" if spec.hold is None else "its GPUs are kept for a look"
    if isinstance(state, Stopped):
        return state.why.value
    why = getattr(state, "why", "")
    return str(getattr(why, "value", why))
