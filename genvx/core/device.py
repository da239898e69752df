"""GPUs as they are.

How they are used now is in usage.py: facts and readings age differently.

A device is identified by its UUID: NVML promises no index order across reboots, and indices shift
when a GPU is lost.
"""

from __future__ import annotations

from enum import Enum
from typing import Optional

from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import InvalidInput

# A host has no more devices than this.
MOST_DEVICES = 4096


class VisibleAs(str, Enum):
    """How CUDA_VISIBLE_DEVICES names devices.

    UUID: unmistakable. INDEX: their number in PCI order, for programs that only accept numbers.
    """

    UUID = "uuid"
    INDEX = "index"

    @classmethod
    def parse(cls, text: str) -> VisibleAs:
        """Return the member that a word names.

        Raises:
            InvalidInput: the word is neither uuid nor index.
        """
        try:
            return cls(text)
        except ValueError:
            raise InvalidInput(f"is uuid or index, not {printable(str(text), 40)!r}") from None


@value
class Device:
    """A GPU, or a MIG instance of one, as it is.

    uuid: NVML's UUID (GPU-…, MIG-…), or SIM-… for a simulated device.
    index: NVML's index, for people only. A MIG instance has its parent's, and `instance`.
    memory: bytes, or None where the driver does not say.
    ordinal: its number where CUDA counts the GPUs of its host in PCI order; None where that is
    not certain, and for MIG instances, which have none.
    unified: its memory is the system's too (GB10, Jetson, GH200), so what is in use of it does
    not show who uses the device. Where it has none of its own, `memory` is the system's.
    topology: a letter for the way to the device of each index (core/placing/topology.py); "" is
    unknown. shareable: whether the policy of the host lets several have parts of it;
    oversubscribable: whether these may add up to more than it has.
    """

    uuid: str
    index: int
    name: str
    memory: Optional[int]
    instance: Optional[int] = None
    parent: Optional[str] = None
    simulated: bool = False
    topology: str = ""
    shareable: bool = True
    oversubscribable: bool = False
    unified: bool = False
    ordinal: Optional[int] = None

    @property
    def label(self) -> str:
        """The short name that people use: "3", or "3:1" for the second MIG instance of GPU 3."""
        return str(self.index) if self.instance is None else f"{self.index}:{self.instance}"

    @property
    def shown_name(self) -> str:
        """The model without the maker's name, which is NVIDIA for all of them."""
        name = self.name.removeprefix("NVIDIA ")
        return f"{name} (simulated)" if self.simulated else name
