"""How files are handed to a connection."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

from genvx.fleet.shipping.sending import send_all


def test_parts_of_all_sizes_arrive_in_order_and_small_ones_go_together():
    chance = random.Random(1)
    sizes = [9, 20, 0, 131_071, 131_072, 131_073, 5_000_000, *[9, 300] * 1000, 1]
    parts = [chance.randbytes(size) for size in sizes]
    sent: list[bytes] = []
    channel = SimpleNamespace(settimeout=lambda seconds: None, sendall=sent.append)
    sending: Any = SimpleNamespace(channel=channel)
    send_all(sending, parts)
    assert b"".join(sent) == b"".join(parts)
    assert len(sent) < 55
    assert all(0 < len(each) <= 131_072 for each in sent)
