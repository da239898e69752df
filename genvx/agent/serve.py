"""Answers one call: reads it, calls the operation's function, and makes every failure a reply.

Modules that only some operations need are imported by those: start-up is most of what a question
costs.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from genvx._version import __version__
from genvx.agent.farend import FarEnd
from genvx.core.limits import exhausted
from genvx.core.text import printable
from genvx.core.wire.asking import operation_of
from genvx.core.wire.callreader import call_from_word, read_call
from genvx.core.wire.plain import Malformed
from genvx.core.wire.protocol import PROTOCOL
from genvx.core.wire.reply import Reply
from genvx.errors import AgentError, GenvxError, ProtocolError
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
    _go_home()
    end = FarEnd(call.token, LocalHost())
    try:
        return _answer(call, end)
    except GenvxError as error:
        return _fail(call, end, error)
    except Malformed as error:
        return _fail(call, end, ProtocolError(str(error)))
    except OSError as error:
        reason = exhausted(error) or printable(str(error), 300)
        return _fail(call, end, AgentError(f"the far end failed: {reason}"))
    except Exception as error:  # the outermost frame: a fault is a reply, not a traceback
        short = exhausted(error)
        if short is not None:
            return _fail(call, end, AgentError(f"the far end failed: {short}"))
        fault = f"{type(error).__name__}: {printable(str(error), 300)}"
        return _fail(call, end, AgentError(f"a fault of genvx {__version__} there: {fault}"))


def _go_home() -> None:
    try:
        os.chdir(os.path.expanduser("~"))
    except OSError:
        os.chdir("/")


def _answer(call: Call, end: FarEnd) -> int:
    if call.protocol != PROTOCOL:
        raise AgentError(
            f"genvx {__version__} there speaks protocol {PROTOCOL}, genvx {call.version} here "
            f"speaks {call.protocol}; install the same version on both"
        )
    operation = operation_of(call)
    answer = answering(type(operation))
    if answer is not None:
        end.reply(operation, answer(end.host, operation))
        return 0
    # Only acts need this module and what it imports; questions are asked of many hosts at once.
    from genvx.agent.acts import acting

    return acting(type(operation))(end, operation)


def _fail(call: Call, end: FarEnd, error: GenvxError) -> int:
    reply = Reply.of_error(error)
    # A shell in a terminal has no channel for replies; its error is collected as a file
    # (local/answers.py).
    if call.operation != "shell":
        end.send(reply)
        return error.exit_code
    from genvx.local import answers

    try:
        answers.leave(end.host.state, call.token, reply)
    except (GenvxError, OSError):
        # The answer cannot be left, so the person at the terminal reads it directly.
        sys.stderr.write(f"genvx: {error}\n")
    return error.exit_code
