"""genvx enforce on the hosts of a fleet, round by round."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from genvx.cli import notifying
from genvx.cli.lasting.ending import until_signal
from genvx.cli.schema.enforcing import plain_done
from genvx.cli.schema.hosts import failed_host
from genvx.cli.show.output import Output
from genvx.core.quantities.ages import format_duration
from genvx.core.text import printable
from genvx.core.wire.enforcing import EnforceOnce
from genvx.errors import kind_of
from genvx.shown.console import say

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.core.enforcing.action import Done
    from genvx.core.notifying.message import Message
    from genvx.core.notifying.notifier import Notifier
    from genvx.core.wire.enforcing import Enforced
    from genvx.fleet.fleet import Fleet
    from genvx.fleet.outcomes import Outcomes


def once(where: Where, *, dry_run: bool, json: bool, told: tuple[Notifier, ...] = ()) -> int:
    """Have every host do one round; return the exit code."""
    with where.fleet() as fleet:
        outcomes = _round(where, fleet, dry_run=dry_run)
        if json:
            hosts = [
                failed_host(name, outcomes.failed[name])
                if name in outcomes.failed
                else {
                    "host": name,
                    "ok": True,
                    "actions": [plain_done(done) for done in outcomes.succeeded[name].done],
                    "notes": list(outcomes.succeeded[name].notes),
                }
                for name in (host.name for host in fleet.hosts)
            ]
            Output(json=True).document("enforce", hosts)
        else:
            _show(outcomes, notes=set())
            looked = outcomes.succeeded.values()
            if dry_run and looked and not any(each.done for each in looked):
                say("genvx: nothing is due")
        errands = notifying.Errands()
        for message in _messages(outcomes, dry_run=dry_run):
            errands.send(message, [each for each in told if each.wants(message.event)])
        errands.conclude()
        return where.report(outcomes)


def on_and_on(where: Where, every: float, told: tuple[Notifier, ...]) -> int:
    """Have every host do a round after the other, until a signal; return the exit code."""
    return until_signal(lambda: _on_and_on(where, every, told))


def _on_and_on(where: Where, every: float, told: tuple[Notifier, ...]) -> None:
    errands = notifying.Errands()
    down: dict[str, str] = {}
    notes: set[str] = set()
    with where.fleet() as fleet:
        due = time.monotonic()
        while True:
            outcomes = _round(where, fleet, dry_run=False)
            notes = _show(outcomes, notes=notes)
            for name, error in outcomes.failed.items():
                if down.get(name) != kind_of(error):
                    say(f"genvx: {name}: {kind_of(error)}: {printable(str(error), 300)}")
                down[name] = kind_of(error)
            for name in outcomes.succeeded:
                if down.pop(name, None) is not None:
                    say(f"genvx: {name} answers again")
            for message in _messages(outcomes, dry_run=False):
                errands.send(message, [each for each in told if each.wants(message.event)])
            errands.tend()
            due = max(due + every, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))


def _round(where: Where, fleet: Fleet, *, dry_run: bool) -> Outcomes[Enforced]:
    return where.ask(fleet, lambda host: host.answer(EnforceOnce(dry_run)))


def _show(outcomes: Outcomes[Enforced], notes: set[str]) -> set[str]:
    """Print what was done, and the notes that were not there in the round before; return all."""
    found = set()
    for name, enforced in outcomes.succeeded.items():
        for note in enforced.notes:
            line = f"genvx: {name}: {note}"
            if line not in notes:
                say(line)
            found.add(line)
        for done in enforced.done:
            print(f"{name}: {line_of(done)}", flush=True)
    return found


def _messages(outcomes: Outcomes[Enforced], *, dry_run: bool) -> list[Message]:
    if dry_run:
        return []
    found = (
        notifying.idle_message(done, name)
        for name, enforced in outcomes.succeeded.items()
        for done in enforced.done
    )
    return [message for message in found if message is not None]


def line_of(done: Done) -> str:
    """Return what was done, or would be, as a line."""
    action = done.action
    text = f"{action.kind.value} {action.user}({action.uid}): {action.subject} {action.why}"
    if done.result:
        text += f": {done.result}"
    elif action.left is not None:
        text += f"; the next step comes {format_duration(action.left)} later"
    return printable(text if done.result else f"would {text}")
