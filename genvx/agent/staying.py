"""An agent that stays: it answers many questions on one channel, or runs one command, and ends with
it.
"""

from __future__ import annotations

import contextlib
import os
import select
from typing import TYPE_CHECKING

from genvx.agent.farend import go_home
from genvx.agent.replied import asked_by, replied
from genvx.core.wire.callreader import read_call
from genvx.core.wire.protocol import STALE
from genvx.core.wire.reply import Reply
from genvx.errors import AgentError, ProtocolError
from genvx.local.host import LocalHost
from genvx.local.questions import answering

if TYPE_CHECKING:
    from genvx.agent.farend import FarEnd
    from genvx.core.wire.call import Call
    from genvx.core.wire.ongoing import Stay


def stay(end: FarEnd, asked: Stay) -> int:
    """Answer calls until stdin ends, nobody has called for the seconds of `asked`, or a command
    that one of them has started ends; return its exit code then.
    """
    login = None
    if asked.runs:
        from genvx.agent.login import Login

        login = Login()
        _load()
    # The home directory may be on a file system that somebody wants to unmount meanwhile.
    os.chdir("/")
    end.reply(asked, None)
    calls = select.poll()
    calls.register(0, select.POLLIN)
    # sshd may notice a cut network only after hours, and would leave us here so long.
    with contextlib.suppress(BrokenPipeError):
        while calls.poll(asked.silence * 1000):
            try:
                call = read_call(lambda size: os.read(0, size))
            except ProtocolError:
                return 0  # stdin has ended
            # A new LocalHost for each: nothing that an answer has read is used for the next one.
            this = end.next(call.token, LocalHost())
            if login is not None and call.operation == "run":
                if not login.unchanged:
                    this.send(Reply(value=STALE))
                    return 0
                go_home()
                return replied(call, this, _run)
            replied(call, this, _answer)
    return 0


def _answer(call: Call, end: FarEnd) -> int:
    operation = asked_by(call)
    answer = answering(type(operation))
    if answer is None:
        raise AgentError(f"an agent that stays answers questions only, not {call.operation!r}")
    end.reply(operation, answer(end.host, operation))
    return 0


def _run(call: Call, end: FarEnd) -> int:
    from genvx.agent.commands import run

    return run(end, asked_by(call))  # type: ignore[arg-type]  # the operation named "run"


def _load() -> None:
    """Load what a run will need, before somebody waits for it."""
    import genvx.agent.commands
    import genvx.core.wire.ongoingcodec
    import genvx.local.devices.inventory
    import genvx.local.granting.acquiring
    import genvx.local.granting.claiming
    import genvx.local.granting.settling
    import genvx.local.granting.taking
    import genvx.local.granting.visibility
    import genvx.local.running.hold
    import genvx.local.state.held
    import genvx.local.state.tidying  # noqa: F401
    from genvx.local.state.lockfile import filelock_version

    filelock_version()
