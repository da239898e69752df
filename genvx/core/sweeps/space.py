"""SearchSpace: the parameters of a sweep, and the values that each can have."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Optional

from genvx.core.sweeps.dimensions import (
    Branch,
    Choice,
    Dimension,
    Normal,
    Uniform,
    Whole,
    become_finer,
    products,
    require_distinct,
    size_of,
)
from genvx.core.value import value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from genvx.core.sweeps.parameters import Parameters


@value
class SearchSpace:
    """Some dimensions with different names.

    Raises:
        InvalidInput: two have one name, there are too many, or they are nested too deep.
    """

    dimensions: tuple[Dimension, ...] = ()

    def __post_init__(self) -> None:
        require_distinct(self.dimensions)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its parameters, in their order; without those of nested spaces."""
        return tuple(each.name for each in self.dimensions)

    @property
    def size(self) -> Optional[int]:
        """The number of points of its grid; None if it is continuous."""
        return size_of(self.dimensions)

    def sample(self, random: Random) -> Parameters:
        """Return random parameters, the same for a generator in the same state."""
        return {each.name: each.draw(random) for each in self.dimensions}

    def grid(self) -> Iterator[Parameters]:
        """Yield every combination; the last parameter varies fastest.

        Where a parameter is continuous there is no end: evenly spaced values first (the bounds and
        the middle), then the values halfway between those, and so on.
        """
        for level in itertools.count() if become_finer(self.dimensions) else range(1):
            for found, new in products(self.dimensions, level):
                if new:
                    yield found


__all__ = ["Branch", "Choice", "Dimension", "Normal", "SearchSpace", "Uniform", "Whole"]
