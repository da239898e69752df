"""Delivers one message for a program that has threads, in a fresh Python of one thread.

What is to be delivered comes on stdin: addresses must not be among the words of a command, where ps
shows them. What became of it goes to stdout, a line of JSON for each notifier.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from genvx.core.wire.dispatchcodec import DISPATCH
from genvx.core.wire.plain import dumps, loads
from genvx.local.runs.notify.courier import Courier

if TYPE_CHECKING:
    from genvx.core.notifying.message import Message
    from genvx.core.notifying.notifier import Notifier

CODE = "from genvx.local.runs.notify import errand; errand.main()"


def main() -> None:
    """Deliver what stdin says."""
    asked = DISPATCH.read(loads(sys.stdin.buffer.read()))
    courier = Courier(os.environ, _say)
    for notifier in asked.notifiers:
        courier.post(notifier, asked.message)
    courier.finish()


def _say(notifier: Notifier, message: Message, result: str) -> None:
    with suppress(OSError):  # nobody waits for it any more; the others are still to be told
        os.write(1, dumps({"to": notifier.label, "result": result}) + b"\n")
