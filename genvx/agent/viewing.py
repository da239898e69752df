"""Viewing the terminal of a run: bytes between the client and the run's supervisor."""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from genvx.agent.client import Client
from genvx.core.wire.viewoperation import Viewed

if TYPE_CHECKING:
    from genvx.agent.farend import FarEnd
    from genvx.core.wire.viewoperation import ViewRun

_PART = 65536


def view(end: FarEnd, asked: ViewRun) -> int:
    """Send the state of a run until it has begun, then pass bytes between client and terminal."""
    client = Client(end.out)
    with suppress(BrokenPipeError):  # the client is gone; the run goes on
        for news in end.host.view(asked, client.wait):
            if isinstance(news, socket.socket):
                with news:
                    end.reply(asked, Viewed())
                    _pass_through(news, end.out)
            else:
                end.reply(asked, news)
    return 0


def _pass_through(connected: socket.socket, out: int) -> None:
    """Pass bytes until the client or the supervisor has ended."""
    connected.setblocking(False)
    poll = select.poll()
    poll.register(out, 0)
    typed = b""
    while True:
        # Keys may have to wait, and output must not wait for them.
        poll.register(connected.fileno(), select.POLLIN | (select.POLLOUT if typed else 0))
        if typed:
            with suppress(KeyError):
                poll.unregister(0)
        else:
            poll.register(0, select.POLLIN)
        ready = dict(poll.poll())
        if out in ready:
            return
        if 0 in ready:
            typed = os.read(0, _PART)
            if not typed:
                return
        events = ready.get(connected.fileno(), 0)
        if events & ~select.POLLOUT:
            try:
                data = connected.recv(_PART)
            except ConnectionError:
                return  # it has ended without reading all keys
            if not data:
                return
            while data:
                data = data[os.write(out, data) :]
        if typed:
            try:
                typed = typed[connected.send(typed) :]
            except BlockingIOError:
                continue
            except ConnectionError:
                typed = b""  # its last output can still be read
