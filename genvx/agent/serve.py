"""Answers one call: reads it, and calls the operation's function.

Modules that only some operations need are imported by those: start-up is most of what a question
costs.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from genvx.agent.farend import FarEnd, go_home
from genvx.agent.replied import asked_by, replied
from genvx.core.wire.callreader import call_from_word, read_call
from genvx.errors import ProtocolError
from genvx.local import processes
from genvx.local.host import LocalHost
from genvx.local.questions import answering

if TYPE_CHECKING:
    from genvx.core.wire.call import Call


def serve(word: str = "", read_before: bytes = b"") -> int:
    """Read the call, answer it, and return the exit code of the process.

    word: the call, if stdin is a terminal. read_before: the call, if the loader has read it from
    stdin.
    """
    # Our command line is a program in base64, which tells people nothing in ps.
    processes.call_ourselves("genvx-agent")
    try:
        if read_before:
            call = read_call(io.BytesIO(read_before).read)
        elif word:
            call = call_from_word(word)
        else:
            call = read_call(lambda size: os.read(0, size))
    except ProtocolError as error:
        sys.stderr.write(f"genvx: {error}\n")
        return error.exit_code
    # The directory in which sshd started us may be deleted, or be unmounted while we hold devices.
    go_home()
    return replied(call, FarEnd(call.token, LocalHost()), _answer)


def _answer(call: Call, end: FarEnd) -> int:
    operation = asked_by(call)
    answer = answering(type(operation))
    if answer is not None:
        end.reply(operation, answer(end.host, operation))
        return 0
    # Only acts need this module and what it imports; questions are asked of many hosts at once.
    from genvx.agent.acts import acting

    return acting(type(operation))(end, operation)
