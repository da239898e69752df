"""Why a request goes where it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.schema.devices import plain_device
from genvx.core.placing.explanation import TAKEN

if TYPE_CHECKING:
    from genvx.cli.schema.document import Plain
    from genvx.core.placing.explanation import Explanation
    from genvx.core.snapshot import Snapshot


def plain_explanation(found: Explanation, snapshot: Snapshot) -> Plain:
    """Convert the explanation for one host."""
    return {
        "rank": found.rank,
        "refusal": None if found.refusal is None else str(found.refusal),
        "devices": [
            {"device": plain_device(device, snapshot), "taken": why == TAKEN, "decision": why}
            for device, why in found.devices
        ],
    }
