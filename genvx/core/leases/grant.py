"""What an acquire gives, and what the holder's shell sees of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.device import VisibleAs
from genvx.core.value import value

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.device import Device
    from genvx.core.leases.claim import Owner

_PLAIN = " ._-+@:/=,"
# A longer name would leave no room to type on the line of the prompt.
_LONGEST_MARK = 24


@value
class Grant:
    """An environment that was just given devices.

    notes: lines for the person to read. seconds: the longest that it lasts; None without end.
    lease: the id of the lease by which the caller holds it. visible_as: how CUDA_VISIBLE_DEVICES
    names its devices.
    """

    environment_id: str
    name: str
    owner: Owner
    devices: tuple[Device, ...]
    memory: Optional[int]
    notes: tuple[str, ...] = ()
    seconds: Optional[int] = None
    lease: str = ""
    visible_as: VisibleAs = VisibleAs.UUID

    @property
    def label(self) -> str:
        """The environment's name and id as people see them."""
        return f"{self.name} ({self.environment_id})" if self.name else self.environment_id

    def mark(self, host: str = "") -> str:
        """Return the beginning of the prompt in the environment's shells: its name, and the host's
        if given.

        Shells expand their prompts, so each character that a shell might interpret becomes an
        underscore.
        """
        name = _plain(self.name[:_LONGEST_MARK].strip())
        return (f"(genvx {name}) " if name else "(genvx) ") + (f"{_plain(host)} " if host else "")

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of all that runs under this grant.

        CUDA_VISIBLE_DEVICES is never unset: unset means all GPUs to CUDA, empty means none.
        """
        return {name: value_of(self) for name, value_of in _VARIABLES.items()}

    def _names(self) -> list[str]:
        """The devices as CUDA_VISIBLE_DEVICES names them.

        If one index is unknown, because a GPU before it was lost meanwhile, all are named by UUID:
        a wrong index would name somebody else's GPU.
        """
        ordinals = [device.ordinal for device in self.devices if device.ordinal is not None]
        if self.visible_as is VisibleAs.INDEX and len(ordinals) == len(self.devices):
            return [str(ordinal) for ordinal in sorted(ordinals)]
        return [device.uuid for device in self.devices]


# The one list of the variables: their values by their names, in the order in which shells assign
# them.
_VARIABLES: dict[str, Callable[[Grant], str]] = {
    "CUDA_VISIBLE_DEVICES": lambda grant: ",".join(grant._names()),
    # CUDA counts the fastest GPU first by default; our indices count in PCI order, as nvidia-smi's
    # do.
    "CUDA_DEVICE_ORDER": lambda grant: "PCI_BUS_ID",
    "GENVX_ENVIRONMENT_ID": lambda grant: grant.environment_id,
    "GENVX_ENVIRONMENT_NAME": lambda grant: grant.name,
    "GENVX_DEVICES": lambda grant: ",".join(device.label for device in grant.devices),
}
VARIABLES = tuple(_VARIABLES)


def _plain(text: str) -> str:
    return "".join(c if c.isalnum() or c in _PLAIN else "_" for c in text)
