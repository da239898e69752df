"""Operations that continue after their first reply: they hold devices, and run what uses them.

Each is passed this end of its call, and returns the exit code of the process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from genvx.agent.commands import open_shell, run, run_in_turn
from genvx.agent.connections import serve_ssh
from genvx.agent.holding import hold
from genvx.core.wire import ongoing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.agent.farend import FarEnd
    from genvx.core.wire.operation import Operation


ACTS: Mapping[type[Operation[Any]], Callable[[FarEnd, Any], int]] = {
    ongoing.Hold: hold,
    ongoing.Run: run,
    ongoing.RunInTurn: run_in_turn,
    ongoing.ServeSSH: serve_ssh,
    ongoing.OpenShell: open_shell,
}


def acting(kind: type[Operation[Any]]) -> Callable[[FarEnd, Any], int]:
    """The function for operations of a class."""
    if kind.__module__.endswith(".treeoperations"):
        from genvx.agent import trees

        return trees.ACTS[kind.__name__]
    # By name: their classes are loaded only where runs are spoken of.
    if kind.__name__ == "ViewRun":
        from genvx.agent.viewing import view

        return view
    if kind.__name__ == "SubmitAndWatch":
        from genvx.agent.series import submit_and_watch

        return submit_and_watch
    if kind is ongoing.Stay:
        from genvx.agent.staying import stay

        return stay
    from genvx.agent.pieces import watch

    return ACTS.get(kind, watch)
