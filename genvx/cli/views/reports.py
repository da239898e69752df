"""What the command of a run has reported, as people see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.cli.schema.runs import plain_report
from genvx.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.runs.runinfo import RunInfo

# A program may report hundreds of numbers.
_MOST = 32


def metrics(run: RunInfo) -> dict[str, Any]:
    """The last report of a run by name: `value`, `step`, then what else its command has put there;
    empty where it has reported nothing.
    """
    found = plain_report(run)
    if found is None:
        return {}
    every = {"value": found["value"], "step": found["step"], **found["more"]}
    return {name: each for name, each in every.items() if each is not None}


def shown_metrics(run: RunInfo) -> dict[str, str]:
    """The last report of a run as text for people, by name."""
    found = list(metrics(run).items())[:_MOST]
    return {printable(name, 60): shown_number(each) for name, each in found}


def parameters_line(parameters: Mapping[str, Any]) -> str:
    """Parameters of a trial on one line."""
    return " ".join(
        f"{printable(name, 60)}={shown_number(each)}" for name, each in parameters.items()
    )


def shown_number(each: Any) -> str:
    """A value of a report, or of a parameter, as text for people."""
    return f"{each:.6g}" if isinstance(each, float) else printable(str(each), 60)
