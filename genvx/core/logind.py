"""Whether logind ends a process at the logout of its user, and what keeps it alive."""

from __future__ import annotations

from enum import Enum
from typing import Optional

from genvx.core.value import value


class Outliving(Enum):
    """What a process needs in order to outlive the logout of its user."""

    NOTHING = "nothing"
    # A scope of the user's own systemd, which goes on as long as the user lingers.
    SCOPE = "scope"
    LINGERING = "lingering and a scope"


@value
class Logind:
    """What logind of a machine says about a user and one of the user's processes.

    in_session: whether the process belongs to a session; nothing else is ended at a logout. kills,
    only, spared: its settings KillUserProcesses, KillOnlyUsers and KillExcludeUsers; kills is None
    if logind does not say. lingers: whether the user's own systemd goes on after the logout.
    """

    user: str
    in_session: bool
    kills: Optional[bool] = None
    only: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()
    lingers: bool = False


def needed(logind: Logind) -> Outliving:
    """Decide what a process needs in order to outlive the logout of its user.

    Where logind does not kill, a scope would be worse than nothing: without lingering it ends a few
    seconds after the last logout.
    """
    chosen = not logind.only or logind.user in logind.only
    if not (logind.in_session and logind.kills and chosen) or logind.user in logind.spared:
        return Outliving.NOTHING
    return Outliving.SCOPE if logind.lingers else Outliving.LINGERING
