"""How long a survey of the devices may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.quantities.durations import parse_duration
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

# Seconds for the whole survey. A fan-out gives a host more than this, login included, so that a
# hanging driver is an answer, and not a host that did not answer.
DEADLINE = 8.0
VARIABLE = "GENVX_NVML_TIMEOUT"


def deadline_in(environ: Mapping[str, str]) -> float:
    """Return the seconds of $GENVX_NVML_TIMEOUT, or the default.

    Raises:
        InvalidInput: it is not a duration.
    """
    text = environ.get(VARIABLE, "")
    if not text:
        return DEADLINE
    try:
        return parse_duration(text)
    except InvalidInput as error:
        raise InvalidInput(f"{VARIABLE}: {error}") from None
