"""One call is answered, whatever happens: every failure becomes a reply."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from genvx._version import __version__
from genvx.core.limits import exhausted
from genvx.core.text import printable
from genvx.core.wire.asking import operation_of
from genvx.core.wire.plain import Malformed
from genvx.core.wire.protocol import PROTOCOL
from genvx.core.wire.reply import Reply
from genvx.errors import AgentError, GenvxError, ProtocolError

if TYPE_CHECKING:
    from typing import Callable

    from genvx.agent.farend import FarEnd
    from genvx.core.wire.call import Call
    from genvx.core.wire.operation import Operation


def replied(call: Call, end: FarEnd, answer: Callable[[Call, FarEnd], int]) -> int:
    """Answer a call with `answer`; return its exit code, or that of its error, which is sent."""
    try:
        return answer(call, end)
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


def asked_by(call: Call) -> Operation[Any]:
    """Return the operation of a call; raise AgentError if the client speaks another protocol."""
    if call.protocol != PROTOCOL:
        raise AgentError(
            f"genvx {__version__} there speaks protocol {PROTOCOL}, genvx {call.version} here "
            f"speaks {call.protocol}; install the same version on both"
        )
    return operation_of(call)


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
