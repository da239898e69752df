"""Tables of users and of what they request."""

from __future__ import annotations

from genvx.core.device import VisibleAs
from genvx.core.leases.claim import Owner
from genvx.core.requests.models import MODEL_LIMIT
from genvx.core.requests.requirements import MOST_MODELS, Requirements, Strategy
from genvx.core.wire.fields import MOST_DEVICES
from genvx.core.wire.tables import Table, choice, flag, integer, integers, optional, strings, text

# Every length has a limit: a host may be hostile, and must not fill our memory. Real values stay
# far below the limits.
OWNER = Table(Owner, "owner", uid=integer(0, 1 << 32), name=text(64))
REQUIREMENTS = Table(
    Requirements,
    "requirements",
    gpus=integer(),
    memory=optional(integer(1)),
    among=optional(integers()),
    models=strings(MODEL_LIMIT, MOST_MODELS),
    at_least=optional(integer(1)),
    at_most=optional(integer(1)),
    devices=strings(128, MOST_DEVICES),
    strategy=choice(Strategy),
    over=flag(),
    visible_as=optional(choice(VisibleAs)),
    in_use=flag(),
)
