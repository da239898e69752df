"""genvx enforce: keep people to the policy, round by round."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING, Annotated

from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit, Option
from genvx.errors import InvalidInput
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from types import FrameType

    from genvx.core.notifying.notifier import Notifier

Every = Annotated[
    str, Option("--every", metavar="TIME", help="From one round to the next, 1s to 1h.")
]
Once = Annotated[bool, Option("--once", help="One round, and end; for cron.")]
DryRun = Annotated[bool, Option("-n", "--dry-run", help="Only say who would be hit, and why.")]

Notify = Annotated[
    list[str] | None,
    Option(
        "--notify",
        metavar="NAME|command:PATH|https://...|slack:https://...|mail:ADDRESS",
        help="Also send a message for each environment that idles (repeatable).",
    ),
]

Json = Annotated[bool, Option("--json", help="One round, printed as JSON for programs.")]

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def enforce(
    context: Context,
    every: Every = "30s",
    once: Once = False,
    dry_run: DryRun = False,
    notify: Notify = None,
    json: Json = False,
) -> None:
    """Warn those who break the rules of policy.toml, and end their processes.

    The rules are those of [enforce]. People are told on their terminals first. Root enforces on
    everybody, other users on themselves. What is done is printed, and is in
    ~/.local/share/genvx/enforce/journal.jsonl.

    With genvx remote each host does its rounds when it is asked, as the user who logs in there; a
    dry run is one round then.

    Example: sudo genvx enforce --once --dry-run
    """
    from genvx.cli import notifying
    from genvx.cli.lasting import enforcing
    from genvx.core.quantities.durations import parse_duration
    from genvx.core.quantities.naming import naming

    with naming("--every"):
        seconds = parse_duration(every)
    if not 1 <= seconds <= 3600:
        raise InvalidInput("--every is from 1s to 1h")
    where = here(context)
    told = notifying.here(notify, _note)
    if json or (where.remote and (once or dry_run)):
        raise Exit(enforcing.once(where, dry_run=dry_run, json=json, told=told))
    if where.remote:
        raise Exit(enforcing.on_and_on(where, seconds, told))
    _here(seconds, told, once=once, dry_run=dry_run)


def _here(seconds: float, told: tuple[Notifier, ...], *, once: bool, dry_run: bool) -> None:
    """Enforce on this machine until a signal comes."""
    import socket

    from genvx.cli.lasting.enforcing import line_of
    from genvx.cli.notifying import Errands, idle_message
    from genvx.local.host import LocalHost

    errands = Errands()
    enforcer = LocalHost().enforcer(_note, dry_run=dry_run)
    with _Signals() as signals:
        enforcer.open()
        try:
            while True:
                found = enforcer.round()
                for done in found:
                    print(line_of(done), flush=True)
                    message = None if dry_run else idle_message(done, socket.gethostname())
                    if message is not None:
                        errands.send(message, [each for each in told if each.wants(message.event)])
                errands.tend()
                if once and dry_run and not found:
                    _note("nothing is due")
                if once or signals.come_within(seconds):
                    break
        finally:
            enforcer.close()
    raise Exit(INTERRUPTED if signals.number == signal.SIGINT else 0)


def _note(line: str) -> None:
    say(f"genvx: {line}")


class _Signals:
    """Notes the signals that end us. A round is never cut in the middle."""

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> _Signals:
        # A pipe, because a signal that comes just before a sleep would be slept over.
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before = {number: signal.signal(number, self._note) for number in _ENDING}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.number:
            self.number = number
            os.write(self._writer, b"!")

    def come_within(self, seconds: float) -> bool:
        """Wait so long; return at once, and True, if one has come."""
        waiter = select.poll()
        waiter.register(self._reader, select.POLLIN)
        return bool(waiter.poll(seconds * 1000))
