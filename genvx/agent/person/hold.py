"""Verbs that change what an environment holds, or use it."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from genvx.agent.person.options import environment, last, named
from genvx.errors import InvalidInput
from genvx.local import inside
from genvx.shell.answer import ENDED, answer, for_tcsh
from genvx.shown.console import say

if TYPE_CHECKING:
    from genvx.agent.person.options import Given
    from genvx.local.host import LocalHost


def attach(host: LocalHost, given: Given, words: list[str]) -> int:
    """Give an environment more devices."""
    from genvx.core.requests.requirements import Requirements
    from genvx.shown.mine import has

    wanted = Requirements.parse(
        last(given, "gpus"),
        last(given, "gpu-memory"),
        min_memory=last(given, "min-memory"),
        devices=given.get("device", ()),
        over="over-subscribe" in given,
    )
    grant = host.attach(environment(host, given), wanted)
    for note in grant.notes:
        say(f"genvx: {note}")
    print(has(grant))
    return 0


def detach(host: LocalHost, given: Given, words: list[str]) -> int:
    """Take devices from an environment."""
    from genvx.shown.mine import has

    print(has(host.detach(environment(host, given), named(given))))
    return 0


def lock(host: LocalHost, given: Given, words: list[str]) -> int:
    """Run a command when its turn comes."""
    from genvx.core.quantities.durations import parse_duration
    from genvx.core.quantities.naming import naming
    from genvx.local.turnruns import run_in_turn

    if not words:
        raise InvalidInput("no command to run; write it after --, as in: genvx lock -- make bench")
    # --timeout is what it was called before; without a time, --wait says what is so by default.
    name = "timeout" if "timeout" in given else "wait"
    time = last(given, name)
    with naming(f"--{name}"):
        patience = parse_duration(time) if time else math.inf
    return run_in_turn(
        host,
        environment(host, given),
        words,
        patience=patience,
        tell=lambda turn: say(f"genvx: waiting for {turn}"),
    )


def deactivate(host: LocalHost, given: Given, words: list[str]) -> int:
    """Leave this shell."""
    inside.deactivate(host)
    return 0


def refresh(host: LocalHost, given: Given, words: list[str]) -> int:
    """Answer the prompt of a shell; see shell/answer.py."""
    if len(words) != 1:
        raise InvalidInput("shell-refresh is for the functions of a shell")
    grant = inside.refreshed(host, words[0])
    if grant is None:
        say("genvx: the environment of this shell has ended")
        return ENDED
    lines = answer(words[0], "", grant)
    lines = for_tcsh(lines) if "lines" in given else lines
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0
