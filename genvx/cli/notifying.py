"""Telling people from here: who is to be told, and sending a message without waiting for it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING

from genvx.core.enforcing.action import Kind, Rule
from genvx.core.notifying.message import Message
from genvx.core.notifying.notifier import Event
from genvx.core.quantities.ages import format_duration
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.core.wire.dispatchcodec import DISPATCH, Dispatch
from genvx.core.wire.plain import dumps
from genvx.fleet import userconfig
from genvx.local import fresh
from genvx.local.runs.notify.errand import CODE
from genvx.local.runs.notify.sending import require
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.core.enforcing.action import Done
    from genvx.core.notifying.notifier import Notifier

_MOST_ERRANDS = 32
_MOST_BYTES = 65536


def chosen(
    typed: Sequence[str] | None, note: Callable[[str], object] = lambda line: None
) -> tuple[Notifier, ...]:
    """Return the notifiers that were typed; without any, those that config.toml takes always.

    note: gets a line about an address that others can see.

    Raises:
        InvalidInput: one of them is none, or config.toml cannot be used.
    """
    # sudo may leave us the home of somebody else: where nobody has asked for its file, we go on.
    left_out = note if typed is None else None
    found = userconfig.load(os.environ, left_out).chosen(typed)
    if has_address(typed or ()):
        note(
            "others on this machine can see the address of the webhook in ps; give it a name in "
            f"{printable(userconfig.usual(os.environ), 200)}"
        )
    return found


def has_address(typed: Sequence[str]) -> bool:
    """Whether the address of a webhook is among what was typed."""
    return any(text.startswith(("http:", "https:", "slack:")) for text in typed)


def here(typed: Sequence[str] | None, note: Callable[[str], object]) -> tuple[Notifier, ...]:
    """Return the notifiers that were typed, for messages that this machine sends; none without.

    Raises:
        InvalidInput, CommandNotFound: as `chosen`; or one of them cannot work here.
    """
    if not typed:
        return ()
    found = chosen(typed, note)
    for each in found:
        require(each, os.environ)
    return found


def idle_message(done: Done, host: str) -> Message | None:
    """Return what people are told of what genvx enforce has done about an idle environment of a
    host; None if it was about something else.
    """
    action = done.action
    if action.rule is not Rule.IDLE:
        return None
    then = "its GPUs were released" if action.kind is Kind.RELEASE else ""
    if action.left is not None:
        then = f"its GPUs are released in {format_duration(max(1, round(action.left)))}"
    return Message(
        Event.IDLE,
        "environment",
        host,
        action.environment,
        action.name,
        action.user,
        devices=action.devices,
        why="; ".join(each for each in (f"held by {action.user}", action.why, then) if each),
        left=action.left,
        command=action.command,
    )


class Errands:
    """Messages on their way, each in a process of its own; none is waited for."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def send(self, message: Message, notifiers: Sequence[Notifier]) -> None:
        """Send a message. What fails is said in a line, when `tend` finds it."""
        self.tend()
        if not notifiers:
            return
        message = replace(message, at=time.time_ns() // 10**9)
        if len(self._running) >= _MOST_ERRANDS:
            say(f"genvx: {_MOST_ERRANDS} messages are on their way; this one is not sent")
            return
        try:
            process = subprocess.Popen(
                fresh.command(CODE),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            say(f"genvx: cannot send a message: {error.strerror}")
            return
        assert process.stdin is not None
        try:
            # Less than a pipe takes at once: this does not wait for the process.
            process.stdin.write(dumps(DISPATCH.write(Dispatch(message, tuple(notifiers)))))
            process.stdin.close()
        except OSError:
            pass  # it has ended, and says nothing
        self._running.append(process)

    def tend(self) -> None:
        """Say which messages could not be sent."""
        for process in [each for each in self._running if each.poll() is not None]:
            self._running.remove(process)
            _say_failures(_results(process))

    def finish(self) -> list[tuple[str, str]]:
        """Wait for all messages; return the labels of their notifiers, and what became of each."""
        found = []
        for process in self._running:
            found += _results(process)
            process.wait()
        self._running = []
        return found

    def conclude(self) -> None:
        """Wait for all messages, two minutes at most; say which could not be sent."""
        _say_failures(self.finish())


def _say_failures(results: list[tuple[str, str]]) -> None:
    for label, result in results:
        if result != "sent":
            say(f"genvx: notify {label}: {result}")


def _results(process: subprocess.Popen[bytes]) -> list[tuple[str, str]]:
    assert process.stdout is not None
    with process.stdout as pipe:
        lines = pipe.read(_MOST_BYTES).splitlines()
    found = []
    for line in lines:
        plain = json.loads(line)
        found.append((printable(plain["to"], 300), printable(plain["result"], 200)))
    return found
