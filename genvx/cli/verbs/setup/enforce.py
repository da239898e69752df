"""genvx enforce: keep people to the policy, round by round."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from genvx.errors import InvalidInput
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from types import FrameType

    from genvx.local.host import Done

Every = Annotated[
    str, typer.Option("--every", metavar="TIME", help="From one round to the next, 1s to 1h.")
]
Once = Annotated[bool, typer.Option("--once", help="One round, and end; for cron.")]
DryRun = Annotated[
    bool, typer.Option("-n", "--dry-run", help="Only say who would be hit, and why.")
]

Notify = Annotated[
    list[str] | None,
    typer.Option(
        "--notify",
        metavar="NAME|command:PATH|https://...|slack:https://...|mail:ADDRESS",
        help="Who else is told of environments that idle (repeatable).",
    ),
]

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def enforce(
    every: Every = "30s", once: Once = False, dry_run: DryRun = False, notify: Notify = None
) -> None:
    """Tell and end those who break the rules of policy.toml.

    The rules are those of [enforce]. People are told on their terminals first. Root enforces on
    everybody, other users on themselves. What is done is printed, and is in
    ~/.local/share/genvx/enforce/journal.jsonl.

    Example: sudo genvx enforce --once --dry-run
    """
    from genvx.core.quantities.durations import parse_duration
    from genvx.core.quantities.naming import naming
    from genvx.local.host import LocalHost

    with naming("--every"):
        seconds = parse_duration(every)
    if not 1 <= seconds <= 3600:
        raise InvalidInput("--every is from 1s to 1h")
    from genvx.cli import notifying

    told, errands = notifying.here(notify, _note), notifying.Errands()
    enforcer = LocalHost().enforcer(_note, dry_run=dry_run)
    with _Signals() as signals:
        enforcer.open()
        try:
            while True:
                found = enforcer.round()
                for done in found:
                    _show(done)
                    message = notifying.idle_message(done)
                    if message is not None and not dry_run:
                        errands.send(message, [each for each in told if each.wants(message.event)])
                errands.tend()
                if once and dry_run and not found:
                    _note("nothing is due")
                if once or signals.come_within(seconds):
                    break
        finally:
            enforcer.close()
    raise typer.Exit(INTERRUPTED if signals.number == signal.SIGINT else 0)


def _note(line: str) -> None:
    say(f"genvx: {line}")


def _show(done: Done) -> None:
    from genvx.core.quantities.ages import format_duration
    from genvx.core.text import printable

    action = done.action
    text = f"{action.kind.value} {action.user}({action.uid}): {action.subject} {action.why}"
    if done.result:
        text += f": {done.result}"
    elif action.left is not None:
        text += f"; the next step comes {format_duration(action.left)} later"
    head = "" if done.result else "would "
    print(f"{head}{printable(text)}", flush=True)


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
