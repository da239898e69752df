"""A way to a host that takes time: a process that passes connections on, a little later.

python3 delay.py PORT TO SECONDS: listens on 127.2.0.1:PORT, passes on to TO:22. It has room for
everything that is on its way, as a long cable has.
"""

from __future__ import annotations

import asyncio
import collections
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.world import World

NAME = "far"
_ADDRESS, _PORT = "127.2.0.1", 2222


class _End(asyncio.Protocol):
    """One end of a connection; what comes goes to the other end, later."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.other: _End | None = None
        self.transport: asyncio.Transport | None = None
        self._waiting: collections.deque[tuple[float, bytes | None]] = collections.deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(6, 1, 1)

    def data_received(self, data: bytes) -> None:
        self._later(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._later(None)

    def _later(self, data: bytes | None) -> None:
        loop = asyncio.get_running_loop()
        self._waiting.append((loop.time() + self.seconds, data))
        if len(self._waiting) == 1:
            loop.call_at(self._waiting[0][0], self._pass)

    def _pass(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and self._waiting[0][0] <= loop.time():
            _, data = self._waiting.popleft()
            target = self.other.transport if self.other else None
            if target is not None and not target.is_closing():
                if data is None:
                    target.close()
                else:
                    target.write(data)
        if self._waiting:
            loop.call_at(self._waiting[0][0], self._pass)


async def _serve(port: int, to: str, seconds: float) -> None:
    loop = asyncio.get_running_loop()

    class Client(_End):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            assert self.transport is not None
            self.transport.pause_reading()
            self._task = loop.create_task(self._reach())

        async def _reach(self) -> None:
            _, server = await loop.create_connection(lambda: _End(seconds), to, 22)
            self.other, server.other = server, self
            assert self.transport is not None
            self.transport.resume_reading()

    listening = await loop.create_server(lambda: Client(seconds), _ADDRESS, port)
    print("ready", flush=True)
    await listening.serve_forever()


@contextmanager
def far(place: World, host: str, milliseconds: float) -> Iterator[str]:
    """A name under which a host is known that is so far away, there and back."""
    config = Path(place.environ["HOME"], ".ssh", "config")
    config.write_text(
        f"Host {NAME}\n    HostName {_ADDRESS}\n    Port {_PORT}\n    HostKeyAlias {host}\n"
    )
    config.chmod(0o600)
    command = [sys.executable, "-m", "benchmarks.delay", str(_PORT), host]
    process = subprocess.Popen(
        [*command, str(milliseconds / 2000)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        if process.stdout.readline() != "ready\n":
            raise SystemExit("the way that takes time does not start")
        yield NAME
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        config.unlink()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
