"""Whether something can be started inside of a run, and why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.requests.ranges import ranges
from genvx.core.runs.container import Runtime
from genvx.core.runs.runstate import (
    Failed,
    Lost,
    Preparing,
    Step,
    Stopped,
    Waiting,
    end_of,
    is_over,
    was_moved,
)
from genvx.core.text import printable
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.core.leases.grant import Grant
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.runs.runstate import RunState

_LONGEST_REASON = 300


def require_entry(run: RunInfo) -> None:
    """Raise InvalidInput unless something can be started in the run; its one line says why not.

    A run can be entered while it has its devices and its directory: it is set up, runs, or is held.
    """
    run.require_here("ssh")
    state = run.state
    if isinstance(state, Waiting):
        reason = f" ({printable(state.reason, _LONGEST_REASON)})" if state.reason else ""
        raise InvalidInput(f"run {run.label_or_id} waits in line: place {state.place}{reason}")
    # Before its code is there, its directory is missing or not whole.
    if isinstance(state, Preparing) and state.step in (Step.START, Step.CODE):
        what = f": {printable(state.progress, _LONGEST_REASON)}" if state.progress else ""
        raise InvalidInput(f"run {run.label_or_id} does not run yet{what}")
    if was_moved(state):
        raise InvalidInput(
            f"run {run.label_or_id} has moved to another host; genvx remote runs shows where it is"
        )
    if is_over(state):
        raise InvalidInput(f"run {run.label_or_id} is over: {ending_of(state)}")


def require_terminal(run: RunInfo, typed: str = "genvx") -> None:
    """Raise InvalidInput if the terminal of a run cannot be viewed, neither now nor once it runs;
    its one line says why not, and what to type instead.

    typed: the beginning of a command line that asks the same hosts.
    """
    run.require_here("watch -i")
    label = run.label_or_id
    if was_moved(run.state):
        require_entry(run)
    if is_over(run.state) or end_of(run.state) is not None:
        raise InvalidInput(
            f"run {label} is over: {ending_of(run.state)}; {typed} logs {run.id} shows its output"
        )
    if not run.spec.tty:
        raise InvalidInput(
            f"run {label} has no terminal, for it was started without --tty; "
            f"{typed} watch {run.id} shows its output"
        )


def ending_of(state: RunState) -> str:
    """How a run that is over has ended, in a few words: "completed", "exit code 7", "signal 9"."""
    if isinstance(state, (Stopped, Lost)):
        word = "stopped" if isinstance(state, Stopped) else "lost"
        return f"{word} ({state.why.value})"
    end = end_of(state)
    if end is not None and end.signal is not None:
        return f"signal {end.signal}"
    if end is not None and end.exit_code:
        return f"exit code {end.exit_code}"
    if isinstance(state, Failed):
        return printable(f"failed ({state.why})" if state.why else "failed", _LONGEST_REASON)
    return "completed"


def entered(run: RunInfo, host: str, grant: Grant) -> str:
    """The line that a person sees on entering a run: which run, which host, which devices; and that
    it is beside the container of the run, as with apptainer.
    """
    devices = f"GPU {ranges(each.label for each in grant.devices)}" if grant.devices else "no GPU"
    container = run.spec.container
    is_outside = container is not None and container.runtime is Runtime.APPTAINER
    beside = ", outside of its container" if is_outside else ""
    return f"in run {run.label_or_id} on {host}{beside}: {devices}"
