"""A trial of a sweep: a run that has parameters, and reports how well it does with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from genvx.core.text import NAME_LIMIT
from genvx.core.value import field, value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

# They are a variable of the command, and a program with longer variables does not start.
MOST_PARAMETERS = 64 * 1024


@value
class Trial:
    """What makes a run a trial.

    sweep: the id of its sweep. number: its place there, from 0. parameters: JSON, by name. nni:
    whether the command is written for NNI, whose functions it then finds.

    Raises:
        InvalidInput: the parameters are no JSON, or too long.
    """

    sweep: str
    number: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    nni: bool = False

    def __post_init__(self) -> None:
        if len(self.sweep) > NAME_LIMIT or not self.sweep.isprintable():
            raise InvalidInput("the id of a sweep is a short printable word")
        if len(self.as_json) > MOST_PARAMETERS:
            raise InvalidInput(f"the parameters of a trial have at most {MOST_PARAMETERS} bytes")

    @property
    def as_json(self) -> str:
        """The parameters as JSON, on one line."""
        try:
            return json.dumps(self.parameters, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"the parameters of a trial are no JSON: {error}") from None
