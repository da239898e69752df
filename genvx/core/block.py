"""What ends with a block, `with ... as it:`."""

from __future__ import annotations

from typing import TypeVar

Self = TypeVar("Self", bound="Block")


class Block:
    """Something that can be used in a `with` block, and is over when that ends."""

    def _leave(self) -> None:
        """What is done at the end of the block, also after an exception in it."""
        raise NotImplementedError

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._leave()
