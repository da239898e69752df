"""Search spaces as JSON of genvx, for the journal of a sweep: exactly what was given."""

from __future__ import annotations

from typing import Any

from genvx.core.sweeps.dimensions import Branch, Choice, Dimension, Normal, Uniform, Whole
from genvx.core.sweeps.space import SearchSpace
from genvx.errors import InvalidInput

_KINDS = {"choice": Choice, "uniform": Uniform, "whole": Whole, "normal": Normal}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_BRANCH = "branch"


def space_to_plain(space: SearchSpace) -> list[Any]:
    """Return JSON from which `space_of_plain` makes the same space."""
    return [_to_plain(each) for each in space.dimensions]


def space_of_plain(found: Any) -> SearchSpace:
    """Make a space of what `space_to_plain` has returned.

    Raises:
        InvalidInput: it is none.
    """
    if not isinstance(found, list):
        raise InvalidInput("not a search space: a list of parameters is wanted")
    try:
        return SearchSpace(tuple(_of_plain(each, 0) for each in found))
    except (TypeError, KeyError, AttributeError):
        raise InvalidInput("not a search space: a parameter has other fields") from None


def _to_plain(dimension: Dimension) -> dict[str, Any]:
    fields: dict[str, Any] = {name: getattr(dimension, name) for name in dimension.__match_args__}
    if isinstance(dimension, Choice):
        fields["values"] = [
            {_BRANCH: each.name, "dimensions": [_to_plain(inner) for inner in each.dimensions]}
            if isinstance(each, Branch)
            else {"value": each}
            for each in dimension.values
        ]
    return {"kind": _NAMES[type(dimension)], **fields}


def _of_plain(found: Any, depth: int) -> Dimension:
    fields = dict(found)
    kind: Any = _KINDS[fields.pop("kind")]
    if kind is not Choice:
        made: Dimension = kind(**fields)
        return made
    if depth > 16:
        raise InvalidInput("not a search space: nested too deep")
    return Choice(
        fields.pop("name"),
        tuple(
            Branch(
                each[_BRANCH], tuple(_of_plain(inner, depth + 1) for inner in each["dimensions"])
            )
            if _BRANCH in each
            else each["value"]
            for each in fields.pop("values")
        ),
        **fields,
    )


__all__ = ["space_of_plain", "space_to_plain"]
