"""An agent that stays: it answers many questions on one channel, and ends with it."""

from __future__ import annotations

import contextlib
import os
import select
from typing import TYPE_CHECKING

from genvx.agent.replied import asked_by, replied
from genvx.core.wire.callreader import read_call
from genvx.errors import AgentError, ProtocolError
from genvx.local.host import LocalHost
from genvx.local.questions import answering

if TYPE_CHECKING:
    from genvx.agent.farend import FarEnd
    from genvx.core.wire.call import Call
    from genvx.core.wire.ongoing import Stay


def stay(end: FarEnd, asked: Stay) -> int:
    """Answer questions until stdin ends, or nobody has asked for the seconds of `asked`."""
    # The home directory may be on a file system that somebody wants to unmount meanwhile.
    os.chdir("/")
    end.reply(asked, None)
    questions = select.poll()
    questions.register(0, select.POLLIN)
    # sshd may notice a cut network only after hours, and would leave us here so long.
    with contextlib.suppress(BrokenPipeError):
        while questions.poll(asked.silence * 1000):
            try:
                call = read_call(lambda size: os.read(0, size))
            except ProtocolError:
                return 0  # stdin has ended
            # A new LocalHost for each: nothing that an answer has read is used for the next one.
            replied(call, end.next(call.token, LocalHost()), _answer)
    return 0


def _answer(call: Call, end: FarEnd) -> int:
    operation = asked_by(call)
    answer = answering(type(operation))
    if answer is None:
        raise AgentError(f"an agent that stays answers questions only, not {call.operation!r}")
    end.reply(operation, answer(end.host, operation))
    return 0
