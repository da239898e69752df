"""What genvx enforce has done."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genvx.cli.schema.document import Plain
    from genvx.core.enforcing.action import Done


def plain_done(done: Done) -> Plain:
    """Convert an action, and what became of it."""
    action = done.action
    return {
        "action": action.kind.value,
        "rule": action.rule.value,
        "user": {"name": action.user, "uid": action.uid},
        "pid": action.pid or None,
        "command": action.command,
        "environment": action.environment or None,
        "name": action.name,
        "gpus": list(action.devices),
        "why": action.why,
        "seconds_left": action.left,
        "result": done.result or None,
    }
