"""Holding devices for a client, or for its shell in a terminal."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Optional

from genvx.agent.client import JOINS, TAKES, Client
from genvx.core.requests.ask import Ask, Join
from genvx.core.wire.progress import Joined, NeverRan
from genvx.local import shells

if TYPE_CHECKING:
    from genvx.agent.farend import FarEnd
    from genvx.core.line.standing import Standing
    from genvx.core.requests.ask import Wanted
    from genvx.core.wire.ongoing import Hold
    from genvx.local.host import LocalHost
    from genvx.local.running.hold import LocalHold

# Seconds that a client has to accept an offer. Meanwhile the devices are kept from all others.
_ANSWER = 30.0

# Seconds between checks whether a shell has joined. A person waits for it.
_LOOK = 0.05


def hold(end: FarEnd, asked: Hold) -> int:
    """Hold devices until the client closes stdin, is gone, is silent too long, or its shell has
    joined.
    """
    client = Client(end.out, math.inf if asked.silence is None else asked.silence)
    waits = isinstance(asked.wanted, Ask) and asked.wanted.patience is not None
    with _taken(end, asked, client if waits else None) as held:
        end.reply(asked, held.grant)
        if waits and not client.says(TAKES, _ANSWER):
            return 0  # an offer that is not accepted goes to the next in line
        # The shell that joins has the same end of time. A hold under which nothing runs just ends.
        if client.says(JOINS, held.grant.seconds):
            _hand_over(end, asked, client)
    return 0


def _taken(end: FarEnd, asked: Hold, client: Optional[Client]) -> LocalHold:
    """Acquire or join what is wanted. client: listens while we wait in line; None does not wait."""
    wanted = asked.wanted
    if client is None or isinstance(wanted, Join):
        return held(end.host, wanted)

    def tell(standing: Standing) -> None:
        if client.wants_news(standing):
            end.reply(asked, standing)

    return end.host.wait(wanted, tell, client)


def held(host: LocalHost, wanted: Wanted) -> LocalHold:
    """Acquire or join what is wanted, now."""
    if isinstance(wanted, Join):
        return host.join(wanted.environment_id, command=wanted.command)
    return host.acquire(wanted)


def _hand_over(end: FarEnd, asked: Hold, client: Client) -> None:
    """Wait for the shell that joins under our call's token, and tell the client the result.

    Once the client closes stdin, its terminal has ended, and no shell will join any more.
    """
    from genvx.local import answers

    answer, over = None, False
    while answer is None and not over:
        # Look once more after the client is gone: the answer may have been left just before.
        over = client.wait(_LOOK)
        answer = answers.collect(end.host.state, end.token)
    # The client may have closed its other end, too; then nobody reads this.
    with contextlib.suppress(BrokenPipeError):
        if answer is not None and answer.error is not None:
            end.send(answer)
        else:
            end.reply(asked, NeverRan(shells.first_file()) if answer is None else Joined())
