"""What it means when a host did not take a trial."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from genvx.errors import (
    AuthenticationFailed,
    DriverError,
    HostError,
    HostKeyError,
    InvalidInput,
    NoCapacity,
    ProjectChanged,
    StateError,
    TreeMissing,
    Unsatisfiable,
    kind_of,
)

if TYPE_CHECKING:
    from genvx.errors import GenvxError

# Nothing was sent where these are the reason.
_BEFORE = (AuthenticationFailed, HostKeyError, DriverError, TreeMissing, ProjectChanged)
_BEFORE_KINDS = ("dns", "refused", "config")


class Meaning(Enum):
    """UNKNOWN: the host may have the trial. NEVER: no trial can run there. FULL: not now. NOT: the
    host has not taken it, for a reason that may pass.
    """

    UNKNOWN = 1
    NEVER = 2
    FULL = 3
    NOT = 4


def meaning_of(error: GenvxError, *, again: bool) -> Meaning:
    """Return what an error means for a trial that was asked for. again: an earlier question may
    have been heard.
    """
    if isinstance(error, (Unsatisfiable, InvalidInput)) and not isinstance(error, ProjectChanged):
        return Meaning.NEVER
    if isinstance(error, NoCapacity):
        return Meaning.FULL
    if again:
        # Also one that says that there is such a run already.
        return Meaning.UNKNOWN
    if isinstance(error, _BEFORE):
        return Meaning.NOT
    if isinstance(error, HostError) and error.kind in _BEFORE_KINDS:
        return Meaning.NOT
    if isinstance(error, (HostError, StateError)):
        return Meaning.UNKNOWN
    return Meaning.NOT


def reason(error: GenvxError) -> str:
    """Return why a host does not answer, without its name."""
    return f"{kind_of(error)}: {error}"
