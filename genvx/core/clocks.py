"""Whether the clock of a host shows the time of ours."""

from __future__ import annotations

from genvx.core.finding import ERROR, OK, WARNING, Finding
from genvx.core.quantities.ages import format_duration

# Seconds. Ages of runs and of files are shown wrong by the difference; certificates, and tools that
# compare times of files, fail with a large one.
_NOTICED = 2.0
_WRONG = 60.0
_ADVICE = "have it set by NTP, as by chrony or systemd-timesyncd; or this machine's is wrong"


def of_clock(asked_ns: int, theirs_ns: int, answered_ns: int) -> Finding:
    """Return the finding about a host's clock, in nanoseconds since the epoch.

    asked_ns, answered_ns: by our clock, before the question and after the answer. The host read its
    own somewhere between: only what that cannot explain counts as a difference.
    """
    ahead = (theirs_ns - answered_ns) / 1e9
    behind = (asked_ns - theirs_ns) / 1e9
    apart = max(ahead, behind, 0.0)
    if apart < _NOTICED:
        return Finding("clock", OK, f"within {_NOTICED:g} s of this machine's")
    side = "ahead of" if ahead > behind else "behind"
    return Finding(
        "clock",
        ERROR if apart >= _WRONG else WARNING,
        f"{format_duration(round(apart))} {side} this machine's",
        _ADVICE,
    )
