"""Search spaces in NNI's JSON, with the meaning that NNI documents for each type."""

from __future__ import annotations

import difflib
import json
from typing import Any, NoReturn

from genvx.core.sweeps.checks import MOST_DEPTH, require_numbers, require_parameter_name
from genvx.core.sweeps.dimensions import (
    BRANCH,
    Branch,
    Choice,
    Dimension,
    Normal,
    Uniform,
    Whole,
)
from genvx.core.sweeps.space import SearchSpace
from genvx.core.text import printable
from genvx.errors import InvalidInput

MOST_BYTES = 1 << 20

# How many numbers the _value of a type has.
_NUMBERS = {
    "randint": 2,
    "uniform": 2,
    "quniform": 3,
    "loguniform": 2,
    "qloguniform": 3,
    "normal": 2,
    "qnormal": 3,
    "lognormal": 2,
    "qlognormal": 3,
}
TYPES = ("choice", *_NUMBERS)


def space_of_nni(found: Any, *, batch: bool = False) -> SearchSpace:
    """Make a space of a JSON value such as {"lr": {"_type": "loguniform", "_value": [1e-5, 0.1]}}.

    batch: whether objects among the values of a choice are values, as for NNI's Batch tuner, not
    nested spaces.

    Raises:
        InvalidInput: it is none; the message says where.
    """
    return SearchSpace(_dimensions(found, "", 0, batch))


def space_of_json(text: str, source: str, *, batch: bool = False) -> SearchSpace:
    """Make a space of the text of a JSON file. source: the name of the file in errors.

    Raises:
        InvalidInput: it is no JSON, has a key twice, or is no space.
    """
    shown = printable(source, 200)
    if len(text) > MOST_BYTES:
        raise InvalidInput(f"{shown} is larger than {MOST_BYTES >> 20} MiB")
    try:
        found = json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{shown}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise InvalidInput(f"{shown}: nested too deep") from None
    except ValueError as error:
        raise InvalidInput(f"{shown}: {printable(str(error), 200)}") from None
    try:
        return space_of_nni(found, batch=batch)
    except InvalidInput as error:
        raise InvalidInput(f"{shown}: {error}") from None


def _dimensions(found: Any, above: str, depth: int, batch: bool) -> tuple[Dimension, ...]:
    if depth > MOST_DEPTH:
        _fail(above, f"choices are nested more than {MOST_DEPTH} deep")
    if not isinstance(found, dict):
        _fail(above, 'a search space is an object, such as {"lr": {"_type": …, "_value": …}}')
    made = []
    for name, entry in found.items():
        if depth and name == BRANCH:
            continue
        require_parameter_name(name)
        made.append(_dimension(name, entry, f"{above}/{name}" if above else name, depth, batch))
    return tuple(made)


def _dimension(name: str, entry: Any, where: str, depth: int, batch: bool) -> Dimension:
    if not isinstance(entry, dict):
        _fail(where, "a parameter is an object with _type and _value")
    for key in entry:
        if key not in ("_type", "_value"):
            _fail(where, f"there is no key {printable(str(key), 40)!r}; keys are _type and _value")
    kind, values = entry.get("_type"), entry.get("_value")
    if not isinstance(kind, str) or kind not in TYPES:
        near = difflib.get_close_matches(str(kind), TYPES, 1, 0.5)
        advice = f"did you mean {near[0]}?" if near else f"types are {', '.join(TYPES)}"
        _fail(where, f"no type {printable(str(kind), 40)!r}; {advice}")
    if not isinstance(values, (list, tuple)):
        _fail(where, "_value is a list")
    if kind == "choice":
        return Choice(name, tuple(_value(each, where, depth, batch) for each in values))
    numbers: list[Any] = list(values)
    require_numbers(where, *numbers)
    if len(numbers) != _NUMBERS[kind]:
        what = "[mu, sigma" if "normal" in kind else "[low, high"
        form = what + (", q]" if _NUMBERS[kind] == 3 else "]")
        _fail(where, f"the _value of {kind} is {form}")
    return _of_numbers(name, where, kind, numbers)


def _of_numbers(name: str, where: str, kind: str, numbers: list[Any]) -> Dimension:
    step = numbers[2] if len(numbers) == 3 else None
    if kind == "randint":
        low, high = numbers
        if low != int(low) or high != int(high):
            _fail(where, "randint has whole numbers")
        if low >= high:
            _fail(where, f"randint excludes its upper bound, so [{low}, {high}] has no value")
        # Its upper bound is excluded, ours is included.
        return Whole(name, int(low), int(high) - 1)
    log = "log" in kind
    if kind.endswith("normal"):
        return Normal(name, numbers[0], numbers[1], step, log)
    return Uniform(name, numbers[0], numbers[1], step, log)


def _value(found: Any, where: str, depth: int, batch: bool) -> Any:
    if not isinstance(found, dict) or batch:
        return found
    branch = found.get(BRANCH)
    if not isinstance(branch, str):
        _fail(where, f"an object among the values is a nested space, and needs {BRANCH}")
    return Branch(branch, _dimensions(found, f"{where}/{branch}", depth + 1, batch))


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, found in pairs:
        if key in made:
            raise ValueError(f"{key!r} is there twice")
        made[key] = found
    return made


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def _fail(where: str, why: str) -> NoReturn:
    raise InvalidInput(f"{printable(where, 200)}: {why}" if where else why)


__all__ = ["TYPES", "space_of_json", "space_of_nni"]
