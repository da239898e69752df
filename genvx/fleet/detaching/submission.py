"""What a run is asked with: the arguments of a caller, checked before any host is asked."""

from __future__ import annotations

import getpass
import os
import socket
from typing import TYPE_CHECKING, Any

from genvx.core.command import require_variables, words_of
from genvx.core.runs.run import Moment, RunSpec
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.core.wire.plain import Malformed
from genvx.core.wire.runcodec import LONGEST_PATH, LONGEST_WORD, SPEC
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.command import Command
    from genvx.core.requests.ask import Ask


def spec_of(
    command: Command, ask: Ask, *, variables: Mapping[str, str] | None = None, **more: Any
) -> RunSpec:
    """Make the request for a new run.

    ask: the devices, the name, and how long it may last. variables: for the command. more: other
    fields of RunSpec. Where and when it was submitted is filled in by the host.

    Raises:
        InvalidInput: it makes no sense, or is longer than a host accepts.
    """
    spec = RunSpec(
        os.urandom(4).hex(),
        tuple(words_of(command)),
        ask.requirements,
        machine="",
        host="",
        submitted=Moment(0, 0),
        name=ask.name,
        variables=require_variables(variables or {}),
        seconds=ask.seconds,
        submitter=submitter(),
        **more,
    )
    for what, text, most in (
        ("--chdir", spec.cwd, LONGEST_PATH),
        *(("a word of the command", word, LONGEST_WORD) for word in spec.argv),
        *(
            (f"--env {printable(key, 60)}", text, LONGEST_WORD)
            for key, text in spec.variables.items()
        ),
    ):
        if len(text) > most:
            raise InvalidInput(f"{what} has at most {most} characters; this one has {len(text)}")
    try:
        # The host reads it with these limits; its refusal would name the wire instead of the word.
        SPEC.read(SPEC.write(spec))
    except Malformed as error:
        raise InvalidInput(f"no host accepts this: {error}") from None
    return spec


def at(spec: RunSpec, host: object) -> RunSpec:
    """What a host is asked: its debug port, if any, says under which address we reach the host."""
    if spec.debug_port is None:
        return spec
    address = getattr(host, "address", "")  # this machine has none
    return replace(spec, debug_port=replace(spec.debug_port, address=address))


def submitter() -> str:
    """Who submits a run from where, for people."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
