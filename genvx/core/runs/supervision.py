"""The claim of a process that supervises a run, as it says it in the state directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.value import value

if TYPE_CHECKING:
    from genvx.core.leases.claim import Owner


@value
class Supervision:
    """A supervisor. id: of its run. directory: the path of the run's directory."""

    id: str
    owner: Owner
    pid: int
    starttime: int
    directory: str
