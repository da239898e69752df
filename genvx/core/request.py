"""What is asked for: parsed from what people type, checked before anything happens."""

from __future__ import annotations

from typing import Optional

from genvx.core.record import dataclass
from genvx.core.units import format_memory, parse_count, parse_memory
from genvx.errors import InvalidQuantity

MOST_DEVICES = 4096


@dataclass(frozen=True)
class Requirements:
    """`gpus` devices; the whole of each, or `memory` bytes of each; only `among` these indices.

    Raises:
        InvalidQuantity: a negative or absurd count, or a share that is none.
    """

    gpus: int = 0
    memory: Optional[int] = None
    among: Optional[tuple[int, ...]] = None

    def __post_init__(self) -> None:
        if isinstance(self.gpus, bool) or not isinstance(self.gpus, int):
            raise InvalidQuantity(f"gpus is a whole number, not {self.gpus!r}")
        if not 0 <= self.gpus <= MOST_DEVICES:
            raise InvalidQuantity(f"gpus is from 0 to {MOST_DEVICES}, not {self.gpus}")
        if self.memory is not None and (
            isinstance(self.memory, bool) or not isinstance(self.memory, int) or self.memory <= 0
        ):
            raise InvalidQuantity(f"memory is a positive number of bytes, not {self.memory!r}")

    @classmethod
    def parse(cls, gpus: Optional[str] = None, memory: Optional[str] = None) -> Requirements:
        """Read what was typed: "2", and "40G" or None for whole devices.

        A share without a count means one device.

        Raises:
            InvalidQuantity: either cannot be read.
        """
        share = None if memory is None else parse_memory(memory)
        default = 0 if share is None else 1
        count = default if gpus is None else parse_count(gpus, "--gpus", MOST_DEVICES)
        return cls(gpus=count, memory=share)

    def __str__(self) -> str:
        devices = f"{self.gpus} GPU{'' if self.gpus == 1 else 's'}"
        if self.memory is None:
            return devices
        return f"{devices} with {format_memory(self.memory)} each"
