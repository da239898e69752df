"""The dimensions of a search space: a parameter's name, and the values that it can have.

Each dimension maps a fraction from 0 to 1 to a value, so that equal steps of the fraction are
equally probable. Sampling, grids and tuners all rest on that one function.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Optional, Union

from genvx.core.sweeps.checks import (
    MOST_DEPTH,
    MOST_TEXT,
    MOST_VALUES,
    MOST_WHOLE,
    require_json,
    require_numbers,
    require_parameter_name,
    require_step,
)
from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

MOST_DIMENSIONS = 256
# How many deviations a grid of a normal parameter reaches.
_REACH = 3

# The key under which the choice of a nested space is found among its parameters.
BRANCH = "_name"


@value
class Choice:
    """One of some values: JSON values, or branches, each a space of its own."""

    name: str
    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        require_parameter_name(self.name)
        if not self.values:
            raise InvalidInput(f"{self.name}: there are no values to choose from")
        if len(self.values) > MOST_VALUES:
            raise InvalidInput(f"{self.name}: more than {MOST_VALUES} values")
        names = set()
        for each in self.values:
            if not isinstance(each, Branch):
                require_json(self.name, each)
            elif each.name in names:
                raise InvalidInput(f"{self.name}: {printable(each.name, 60)!r} is there twice")
            else:
                names.add(each.name)

    @property
    def size(self) -> Optional[int]:
        """The number of values, with those of branches; None if a branch is continuous."""
        total = 0
        for each in self.values:
            size = size_of(each.dimensions) if isinstance(each, Branch) else 1
            if size is None:
                return None
            total += size
        return total

    def at(self, fraction: float) -> Any:
        """Return the value, or the branch, at a fraction from 0 to 1."""
        return self.values[min(int(fraction * len(self.values)), len(self.values) - 1)]

    def draw(self, random: Random) -> Any:
        """Return a random value; for a branch, its name and its own parameters."""
        chosen = self.at(random.random())
        return chosen.draw(random) if isinstance(chosen, Branch) else chosen

    def points(self, level: int) -> Iterator[tuple[Any, bool]]:
        """Yield each value, and whether it is new at this level of a grid."""
        for each in self.values:
            if isinstance(each, Branch):
                for found, new in products(each.dimensions, level):
                    yield {BRANCH: each.name, **found}, new
            else:
                yield each, level == 0


@value
class Branch:
    """A value of a choice that brings parameters of its own."""

    name: str
    dimensions: tuple[Dimension, ...] = ()

    def __post_init__(self) -> None:
        if (
            not isinstance(self.name, str)
            or not self.name
            or len(self.name) > MOST_TEXT
            or not self.name.isprintable()
        ):
            raise InvalidInput(f"not a name of a choice: {printable(str(self.name), 60)!r}")
        require_distinct(self.dimensions)

    def draw(self, random: Random) -> dict[str, Any]:
        """Return its name and random parameters."""
        return {BRANCH: self.name, **{each.name: each.draw(random) for each in self.dimensions}}


@value
class Uniform:
    """A number from `low` to `high`, or its logarithm evenly.

    step: the value is rounded to a multiple of it, and then clipped to the bounds.
    """

    name: str
    low: float
    high: float
    step: Optional[float] = None
    log: bool = False

    def __post_init__(self) -> None:
        require_parameter_name(self.name)
        require_numbers(self.name, self.low, self.high)
        require_step(self.name, self.step, self.low, self.high)
        if self.low >= self.high:
            raise InvalidInput(f"{self.name}: {self.low:g} is not less than {self.high:g}")
        if self.log and self.low <= 0:
            raise InvalidInput(f"{self.name}: a logarithm needs more than 0, not {self.low:g}")

    @property
    def size(self) -> Optional[int]:
        """The number of values; None without a step."""
        return None if self.step is None else self._bounds[1] - self._bounds[0] + 1

    @property
    def _bounds(self) -> tuple[int, int]:
        assert self.step is not None, "only steps are counted"
        return round(self.low / self.step), round(self.high / self.step)

    def at(self, fraction: float) -> float:
        """Return the value at a fraction from 0 to 1."""
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return self.snapped(math.exp(low + fraction * (high - low)))
        return self.snapped(self.low + fraction * (self.high - self.low))

    def snapped(self, number: float) -> float:
        """Return the nearest value that it can have."""
        if self.step is not None:
            number = _multiple(round(number / self.step), self.step)
        return float(min(max(number, self.low), self.high))

    def draw(self, random: Random) -> float:
        """Return a random value."""
        return self.at(random.random())

    def points(self, level: int) -> Iterator[tuple[float, bool]]:
        """Yield the values of a grid, and whether each is new at this level of it."""
        if self.step is not None:
            low, high = self._bounds
            for count in range(low, high + 1):
                yield self.snapped(_multiple(count, self.step)), level == 0
            return
        parts = 2 << level
        for part in range(parts + 1):
            yield self.at(part / parts), level == 0 or part % 2 == 1


@value
class Whole:
    """A whole number from `low` to `high`, both included; or its logarithm evenly.

    step: the distance of one value to the next, counted from `low`.
    """

    name: str
    low: int
    high: int
    log: bool = False
    step: int = 1

    def __post_init__(self) -> None:
        require_parameter_name(self.name)
        for number in (self.low, self.high, self.step):
            if isinstance(number, bool) or not isinstance(number, int) or abs(number) > MOST_WHOLE:
                raise InvalidInput(f"{self.name}: not a whole number: {printable(str(number), 40)}")
        if self.low > self.high:
            raise InvalidInput(f"{self.name}: {self.low} is more than {self.high}")
        if self.step < 1:
            raise InvalidInput(f"{self.name}: a step is more than 0")
        if self.log and self.low < 1:
            raise InvalidInput(f"{self.name}: a logarithm needs more than 0, not {self.low}")
        if self.log and self.step != 1:
            raise InvalidInput(f"{self.name}: log and a step do not go together")

    @property
    def size(self) -> int:
        """The number of values."""
        return (self.high - self.low) // self.step + 1

    def at(self, fraction: float) -> int:
        """Return the value at a fraction from 0 to 1."""
        if self.log:
            low, high = math.log(self.low), math.log(self.high + 1)
            return min(max(int(math.exp(low + fraction * (high - low))), self.low), self.high)
        return self.low + min(int(fraction * self.size), self.size - 1) * self.step

    def draw(self, random: Random) -> int:
        """Return a random value."""
        return self.at(random.random())

    def points(self, level: int) -> Iterator[tuple[int, bool]]:
        """Yield each value, and whether it is new at this level of a grid."""
        for number in range(self.low, self.high + 1, self.step):
            yield number, level == 0


@value
class Normal:
    """A normally distributed number; with `log`, a number whose logarithm is.

    step: the value is rounded to a multiple of it.
    """

    # Fractions nearer to 0 and 1 than this are nine deviations away, and beyond what a float tells.
    _EDGE: ClassVar[float] = 2.0**-53

    name: str
    mean: float
    deviation: float
    step: Optional[float] = None
    log: bool = False

    def __post_init__(self) -> None:
        require_parameter_name(self.name)
        require_numbers(self.name, self.mean, self.deviation)
        if self.deviation <= 0:
            raise InvalidInput(f"{self.name}: a deviation is more than 0")
        far = abs(self.mean) + 9 * self.deviation
        if not math.isfinite(far) or (self.log and far > 700):
            raise InvalidInput(f"{self.name}: mean and deviation are too large")
        reach = math.exp(far) if self.log else far
        require_step(self.name, self.step, reach, reach)

    @property
    def size(self) -> Optional[int]:
        """None, also with a step: there is no end of values."""
        return None

    def at(self, fraction: float) -> float:
        """Return the value at a fraction from 0 to 1."""
        # Imported here: few spaces have a normal parameter, and this takes longer than a question.
        from statistics import NormalDist

        inside = min(max(fraction, self._EDGE), 1 - self._EDGE)
        return self.snapped(NormalDist(self.mean, self.deviation).inv_cdf(inside))

    def fraction(self, number: float) -> float:
        """Return where a value is: the fraction of which it is the value, without a step."""
        from statistics import NormalDist

        if self.log:
            if number <= 0:
                return 0.0
            number = math.log(number)
        return NormalDist(self.mean, self.deviation).cdf(number)

    def snapped(self, number: float) -> float:
        """Return the value that a normally distributed number becomes."""
        if self.log:
            number = math.exp(number)
        return number if self.step is None else _multiple(round(number / self.step), self.step)

    def draw(self, random: Random) -> float:
        """Return a random value."""
        return self.at(random.random())

    def points(self, level: int) -> Iterator[tuple[float, bool]]:
        """Yield the values of a grid, and whether each is new at this level of it; with a step, all
        within three deviations.
        """
        if self.step is not None:
            ends = [self.mean - _REACH * self.deviation, self.mean + _REACH * self.deviation]
            low, high = (math.exp(end) if self.log else end for end in ends)
            for count in range(round(low / self.step), round(high / self.step) + 1):
                yield _multiple(count, self.step), level == 0
            return
        parts = 2 << level
        for part in range(1, parts):
            yield self.at(part / parts), level == 0 or part % 2 == 1


Dimension = Union[Choice, Uniform, Whole, Normal]


def require_distinct(dimensions: tuple[Dimension, ...], depth: int = 0) -> None:
    """Raise InvalidInput if two have one name, there are too many, or they are nested too deep."""
    if depth > MOST_DEPTH:
        raise InvalidInput(f"choices are nested more than {MOST_DEPTH} deep")
    if len(dimensions) > MOST_DIMENSIONS:
        raise InvalidInput(f"more than {MOST_DIMENSIONS} parameters")
    names = set()
    for each in dimensions:
        if each.name in names:
            raise InvalidInput(f"parameter {each.name} is there twice")
        names.add(each.name)
        if isinstance(each, Choice):
            for branch in each.values:
                if isinstance(branch, Branch):
                    require_distinct(branch.dimensions, depth + 1)


def size_of(dimensions: tuple[Dimension, ...]) -> Optional[int]:
    """Return the number of combinations; None if one of them is continuous."""
    total = 1
    for each in dimensions:
        if each.size is None:
            return None
        total *= each.size
    return total


def become_finer(dimensions: tuple[Dimension, ...]) -> bool:
    """Return whether a grid has further levels: whether one of them is continuous."""
    for each in dimensions:
        if isinstance(each, Choice):
            if any(isinstance(b, Branch) and become_finer(b.dimensions) for b in each.values):
                return True
        elif isinstance(each, (Uniform, Normal)) and each.step is None:
            return True
    return False


def products(
    dimensions: tuple[Dimension, ...], level: int
) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield the combinations of a grid, and whether each is new at this level; the last varies
    fastest.
    """
    if not dimensions:
        yield {}, level == 0
        return
    first, *others = dimensions
    for found, new in first.points(level):
        for rest, more in products(tuple(others), level):
            yield {first.name: found, **rest}, new or more


def _multiple(count: int, step: float) -> float:
    # In decimal, as people write the step: three times 0.1 is 0.3, not 0.30000000000000004.
    from decimal import Decimal

    return float(Decimal(repr(float(step))) * count)
