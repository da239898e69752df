"""What people are shown when their environment ends, and when."""

from __future__ import annotations

from genvx.core.quantities.ages import format_duration

OVER = "genvx: the time of this environment is over"
_NOTICE = 300.0


def notice(seconds: float) -> float:
    """Return how many seconds before the end the warning comes, for an environment of `seconds`.

    Five minutes; for a short environment the last tenth of its time.
    """
    return min(_NOTICE, seconds / 10)


def warning(left: float) -> str:
    """Return the warning that is shown `left` seconds before the end."""
    return f"genvx: this environment ends in {format_duration(max(1.0, round(left)))}"


def run_over(run: str, how: str, grace: float) -> str:
    """Return the line that terminals in a run show when it has ended, `grace` seconds before their
    processes get SIGTERM.
    """
    when = f"in {format_duration(round(grace))}" if grace >= 1 else "now"
    return f"genvx: run {run} is over: {how}; everything in it ends {when}"
