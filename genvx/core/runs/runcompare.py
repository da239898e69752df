"""What differs between runs. The values of variables may be secrets: they are only told apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from genvx.core.runs.run import RunSpec

# Parts of names whose values are never shown, not even to somebody who wants to see values.
_SECRET = re.compile(
    r"TOKEN|SECRET|PASS|PWD|KEY|CRED|AUTH|PRIVATE|COOKIE|SESSION|SIGNATURE|DSN|WEBHOOK|URL|URI",
    re.IGNORECASE,
)


def looks_secret(name: str) -> bool:
    """Whether the value of a variable of this name may be a secret. A URL can hold a password."""
    return _SECRET.search(name) is not None


def groups(values: Iterable[Optional[Hashable]]) -> tuple[Optional[int], ...]:
    """Number equal values alike, from 1 in the order in which they come; None stays None."""
    numbers: dict[Hashable, int] = {}
    return tuple(
        None if each is None else numbers.setdefault(each, len(numbers) + 1) for each in values
    )


def differ(values: Sequence[object]) -> bool:
    """Whether not all values are equal."""
    return any(each != values[0] for each in values)


def differing_variables(specs: Sequence[RunSpec]) -> Mapping[str, tuple[Optional[str], ...]]:
    """Return the variables that differ between runs: by name, the value for each run, None where a
    run does not set it.
    """
    names = sorted({name for spec in specs for name in spec.variables})
    found = {name: tuple(spec.variables.get(name) for spec in specs) for name in names}
    return {name: values for name, values in found.items() if differ(values)}
