"""Values of .genvx.toml, checked one by one and together."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from genvx.core.device import VisibleAs
from genvx.core.requests.requirements import Requirements, Strategy
from genvx.core.text import printable
from genvx.errors import GenvxError, InvalidInput
from genvx.project.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

Values = dict[str, Any]


def checked(values: Mapping[str, Any], where: str) -> Values:
    """Check values and return them in their usual types.

    where: the name of the file, for messages.

    Raises:
        InvalidInput: a key or value is wrong; the message names the first.
    """
    found: Values = {}
    for key, value in values.items():
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, 1, 0.5)
            advice = f"did you mean {near[0]}?" if near else f"keys are {', '.join(KEYS)}"
            raise InvalidInput(f"{where}: unknown key {printable(key, 40)!r}; {advice}")
        try:
            found[key] = KEYS[key](value)
        except GenvxError as error:
            raise InvalidInput(f"{where}: {key}: {error}") from None
    if found.get("spread") and found.get("pack"):
        raise InvalidInput(f"{where}: either spread or pack, not both")
    try:
        requirements(found)
    except GenvxError as error:
        raise InvalidInput(f"{where}: {error}") from None
    return found


def requirements(values: Values) -> Requirements:
    """Return the requirements that values make.

    Raises:
        InvalidInput: they contradict each other.
    """
    strategy = (
        Strategy.SPREAD
        if values.get("spread")
        else Strategy.PACK
        if values.get("pack")
        else Strategy.FIT
    )
    return Requirements.parse(
        values.get("gpus"),
        values.get("gpu-memory"),
        min_memory=values.get("min-memory"),
        devices=values.get("device", ()),
        strategy=strategy,
        over=bool(values.get("over-subscribe")),
        visible_as=VisibleAs(values["visible-as"]) if "visible-as" in values else None,
    )
