"""The operation with which a client views the terminal of a run; see operations.py."""

from __future__ import annotations

from typing import Union

from genvx.core.runs.runinfo import RunInfo
from genvx.core.text import NAME_LIMIT
from genvx.core.value import value
from genvx.core.wire.forms import Tagged
from genvx.core.wire.operation import Operation, Wire
from genvx.core.wire.runcodec import RUN
from genvx.core.wire.tables import Table, string


@value
class Viewed:
    """The terminal is there: what it shows follows, and frames (viewing.py) are read."""


ViewNews = Union[RunInfo, Viewed]
"""What the host replies to `ViewRun`: the run while it has not begun, then `Viewed`."""


@value
class ViewRun(Operation[ViewNews]):
    """View the terminal of a run, by its id, and type into it; wait for it if it has not begun."""

    run: str


_NEWS: Tagged[ViewNews] = Tagged(
    "news of a run", {"run": RUN, "viewed": Table(Viewed, "view of a run")}
)

WIRES = (Wire("run-view", Table(ViewRun, "view", run=string(NAME_LIMIT)), _NEWS),)
