"""The tuners that need nothing but genvx: random, grid, and a list of parameters."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.core.sweeps.outcome import Outcome
    from genvx.core.sweeps.parameters import Parameters
    from genvx.core.sweeps.space import SearchSpace

# How often a random point is drawn again before the first unused one of the grid is taken.
_DRAWS = 100


class Seen:
    """Seen knows which points of a finite space were asked, so that none is asked twice.

    In a continuous space, and in one without parameters, where trials differ by chance alone,
    nothing is ever seen.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._size = space.size if space.dimensions else None
        self._keys: set[str] = set()

    @property
    def all(self) -> bool:
        """Whether the space is used up."""
        return self._size is not None and len(self._keys) >= self._size

    def add(self, parameters: Parameters) -> None:
        """Take note of parameters."""
        if self._size is not None:
            self._keys.add(key_of(parameters))

    def __contains__(self, parameters: Parameters) -> bool:
        return self._size is not None and key_of(parameters) in self._keys

    def another(self, random: Random) -> Parameters | None:
        """Return a random point that was not asked yet; None if the space is used up."""
        for _ in range(_DRAWS):
            found = self._space.sample(random)
            if found not in self:
                return found
        return next((found for found in self._space.grid() if found not in self), None)


def key_of(parameters: Parameters) -> str:
    """Return a text that is the same for equal parameters: 1, 1.0 and true are different."""
    return json.dumps(parameters, sort_keys=True)


class _Own:
    """What tuners that learn nothing have in common."""

    def reported(self, number: int, step: int, value: float) -> bool:
        """Never end a trial."""
        return False

    def tell(self, number: int, outcome: Outcome) -> None:
        """Learn nothing."""


class RandomTuner(_Own):
    """RandomTuner draws each trial's parameters by its number, whatever came before.

    Only in a finite space, where no point is asked twice, does it depend on the trials before.
    """

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._seed = seed
        self._seen = Seen(space)

    def ask(self, number: int) -> Parameters | None:
        """Return random parameters; None if each point of a finite space was asked."""
        if self._seen.all:
            return None
        found = self._seen.another(Random(f"{self._seed}:{number}"))
        if found is not None:
            self._seen.add(found)
        return found

    def adopt(self, number: int, parameters: Parameters) -> None:
        """Take note that these were asked."""
        self._seen.add(parameters)


class GridTuner(_Own):
    """GridTuner goes through the grid of a space, point by point."""

    def __init__(self, space: SearchSpace) -> None:
        self._points: Iterator[Parameters] = space.grid()
        self._adopted: dict[str, int] = {}

    def ask(self, number: int) -> Parameters | None:
        """Return the next point; None after the last."""
        for found in self._points:
            key = key_of(found)
            if not self._adopted.get(key):
                return found
            self._adopted[key] -= 1
        return None

    def adopt(self, number: int, parameters: Parameters) -> None:
        """Take note that this point was asked: the grid goes on without it."""
        key = key_of(parameters)
        self._adopted[key] = self._adopted.get(key, 0) + 1


class BatchTuner(GridTuner):
    """BatchTuner asks what NNI's Batch tuner is given: objects, each all parameters of a trial.

    Raises:
        InvalidInput: the space is not one choice among objects.
    """

    def __init__(self, space: SearchSpace) -> None:
        super().__init__(space)
        rows: Any = [getattr(each, "values", ()) for each in space.dimensions]
        if len(rows) != 1 or not rows[0] or not all(isinstance(each, dict) for each in rows[0]):
            raise InvalidInput(
                "the tuner batch needs a space of one choice, whose values are objects: "
                '{"combine_params": {"_type": "choice", "_value": [{"lr": 0.1}, {"lr": 0.2}]}}'
            )
        self._points = iter(rows[0])


__all__ = ["BatchTuner", "GridTuner", "RandomTuner", "Seen"]
