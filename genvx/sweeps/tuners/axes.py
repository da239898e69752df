"""How the dimensions of a space are parameters of an Optuna study.

Inside the study each value stands for exactly one value of ours, and the other way round. So a
study that is made again from the parameters of past trials is the same study.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from genvx.core.sweeps.dimensions import BRANCH, Branch, Choice, Normal, Uniform, Whole
from genvx.core.text import printable
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from genvx.core.sweeps.dimensions import Dimension
    from genvx.core.sweeps.parameters import Parameters
    from genvx.core.sweeps.space import SearchSpace

# Normal parameters are counted in this many equally probable parts: each part has one value, so
# that the part can be told again from the value. TPE and the others search evenly among them.
_PARTS = 1 << 20
_SEPARATOR = "/"


class Axis:
    """A dimension inside of a study. name: with those of the choices that it is nested in."""

    def __init__(self, name: str, dimension: Dimension, distribution: Any) -> None:
        self.name = name
        self.dimension = dimension
        self.distribution = distribution
        # The first of equal values: parameters in a journal do not tell which of them it was.
        self._numbers: dict[str, int] = {}
        for at, each in enumerate(dimension.values if isinstance(dimension, Choice) else ()):
            self._numbers.setdefault(_key(each), at)

    def outer(self, inner: Any) -> Any:
        """Return our value for one of the study; for a nested space, its branch."""
        dimension = self.dimension
        if isinstance(dimension, Choice):
            return dimension.values[inner]
        if isinstance(dimension, Normal):
            return dimension.at(inner / _PARTS)
        return dimension.snapped(inner) if isinstance(dimension, Uniform) else int(inner)

    def inner(self, outer: Any) -> Any:
        """Return the study's value for one of ours; raise InvalidInput if it is none."""
        dimension = self.dimension
        if isinstance(dimension, Choice):
            at = self._numbers.get(_key(outer))
            if at is not None:
                return at
        elif isinstance(outer, (int, float)) and not isinstance(outer, bool):
            if isinstance(dimension, Normal):
                return min(max(round(dimension.fraction(outer) * _PARTS), 1), _PARTS - 1)
            if dimension.low <= outer <= dimension.high:
                return int(outer) if isinstance(dimension, Whole) else float(outer)
        raise InvalidInput(
            f"{self.name}={printable(str(outer), 60)} is no value of the search space"
        )


class Axes:
    """All axes of a space, also those of nested spaces, by name."""

    def __init__(self, space: SearchSpace, optuna: Any) -> None:
        self._space = space
        self._optuna = optuna
        self._axes = {axis.name: axis for axis in self._all(space.dimensions, "")}

    def snapped(self, name: str, inner: Any) -> Any:
        """Return the value of the study that stands for the same value of ours as `inner`."""
        axis = self._axes.get(name)
        return inner if axis is None else axis.inner(axis.outer(inner))

    def suggested(self, suggest: Callable[[Axis], Any]) -> Parameters:
        """Return parameters that are put together from what `suggest` answers for each axis."""
        return self._suggested(self._space.dimensions, "", suggest)

    def inner(self, parameters: Parameters) -> dict[str, Any]:
        """Return the study's values for parameters of ours.

        Raises:
            InvalidInput: they are not of this space.
        """
        found = dict(self._inner(self._space.dimensions, "", parameters))
        missing = parameters.keys() - set(self._space.names)
        if missing:
            raise InvalidInput(f"{printable(min(missing), 60)} is no parameter of the search space")
        return found

    def _all(self, dimensions: tuple[Dimension, ...], above: str) -> Iterator[Axis]:
        for each in dimensions:
            yield Axis(above + each.name, each, self._distribution(each))
            for branch in each.values if isinstance(each, Choice) else ():
                if isinstance(branch, Branch):
                    yield from self._all(branch.dimensions, _below(above, each, branch))

    def _distribution(self, dimension: Dimension) -> Any:
        kinds = self._optuna.distributions
        if isinstance(dimension, Choice):
            # By their numbers: Optuna takes no lists and objects, and warns of them.
            return kinds.CategoricalDistribution(tuple(range(len(dimension.values))))
        if isinstance(dimension, Normal):
            return kinds.IntDistribution(1, _PARTS - 1)
        if isinstance(dimension, Whole):
            high = dimension.low + (dimension.size - 1) * dimension.step
            return kinds.IntDistribution(
                dimension.low, high, log=dimension.log, step=dimension.step
            )
        # Without the step: Optuna counts it from the lower bound, NNI from zero.
        return kinds.FloatDistribution(dimension.low, dimension.high, log=dimension.log)

    def _suggested(
        self, dimensions: tuple[Dimension, ...], above: str, suggest: Callable[[Axis], Any]
    ) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for each in dimensions:
            axis = self._axes[above + each.name]
            found = axis.outer(suggest(axis))
            if isinstance(found, Branch):
                below = _below(above, each, found)
                found = {
                    BRANCH: found.name,
                    **self._suggested(found.dimensions, below, suggest),
                }
            made[each.name] = found
        return made

    def _inner(
        self, dimensions: tuple[Dimension, ...], above: str, parameters: Mapping[str, Any]
    ) -> Iterator[tuple[str, Any]]:
        for each in dimensions:
            axis = self._axes[above + each.name]
            if each.name not in parameters:
                raise InvalidInput(f"parameter {axis.name} is missing")
            found = parameters[each.name]
            at = axis.inner(found)
            yield axis.name, at
            branch = axis.outer(at)
            if isinstance(branch, Branch):
                yield from self._inner(branch.dimensions, _below(above, each, branch), found)


def _below(above: str, choice: Dimension, branch: Branch) -> str:
    # With the branch: two branches may have parameters of one name and different bounds.
    return f"{above}{choice.name}{_SEPARATOR}{branch.name}{_SEPARATOR}"


def _key(found: Any) -> str:
    """Return a text for a value of a choice; the same for a branch and for parameters of it."""
    if isinstance(found, Branch):
        found = {BRANCH: found.name}
    elif isinstance(found, dict) and BRANCH in found:
        found = {BRANCH: found[BRANCH]}
    return json.dumps(found, sort_keys=True)


__all__ = ["Axes", "Axis"]
