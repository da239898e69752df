"""A place in the line of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.line.ticket import Ticket

if TYPE_CHECKING:
    from genvx.core.requests.ask import Ask
    from genvx.local.machine import Machine


def place_in_line(host: Machine, ask: Ask, environment_id: str) -> Ticket:
    """Make a ticket for the line of this machine, from this moment on; it is not published yet."""
    lease = host.blank(environment_id, ask.name, ask.command, None)
    rules = host.rules()
    requirements = ask.requirements
    if rules is not None:
        requirements = rules.complete(requirements)
    return Ticket(
        requirements=requirements,
        seen_ns=lease.since_ns,
        most=None if rules is None else rules.limit.gpus,
        most_memory=None if rules is None else rules.limit.memory,
        keeps=ask.keeps,
        **lease.claimed(),
    )
