"""Two machines and the cable between them, as network namespaces; and the cable can be cut."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from genvx.sandbox.host import SandboxHost
from genvx.sandbox.record import Sandbox
from torture.trial import until

_HERE, _THERE = "10.77.0.1", "10.77.0.2"
_NOBODY = "02:00:00:00:00:99"


class Cable:
    """Between a client's namespace and one in which the hosts of a sandbox are."""

    def __init__(self) -> None:
        word = secrets.token_hex(4)
        self._spaces = (f"genvx-{word}-a", f"genvx-{word}-b")
        self._devices = (f"g{word}a", f"g{word}b")
        self._servers: dict[str, subprocess.Popen[bytes]] = {}

    def lay(self) -> None:
        for space in self._spaces:
            _ip("netns", "add", space)
        here, there = self._spaces
        one, other = self._devices
        _ip("-n", here, "link", "add", one, "type", "veth", "peer", "name", other, "netns", there)
        for space, device, address in self._ends():
            _ip("-n", space, "addr", "add", f"{address}/30", "dev", device)
            _ip("-n", space, "link", "set", device, "up")
            _ip("-n", space, "link", "set", "lo", "up")

    def _ends(self) -> Iterator[tuple[str, str, str]]:
        return zip(self._spaces, self._devices, (_HERE, _THERE), strict=True)

    def cut(self) -> None:
        """From now on whatever is sent, either way, reaches nobody; and nobody is told."""
        for (space, device, _), peer in zip(self._ends(), (_THERE, _HERE), strict=True):
            _ip("-n", space, "neigh", "replace", peer, "lladdr", _NOBODY, "dev", device)

    def mend(self) -> None:
        """Undo a cut."""
        for (space, device, _), peer in zip(self._ends(), (_THERE, _HERE), strict=True):
            _ip("-n", space, "neigh", "del", peer, "dev", device)

    def command(self, argv: Sequence[str]) -> list[str]:
        """A command line as it is run by the client."""
        return ["ip", "netns", "exec", self._spaces[0], *argv]

    def move(self, sandbox: Sandbox, near: Collection[str] = ()) -> None:
        """Have the hosts of a sandbox serve in the other namespace, without asking for their
        clients. near: names of those that serve in the client's.
        """
        config = Path(sandbox.ssh_config)
        for host in sandbox.hosts:
            space, address = (
                (self._spaces[0], _HERE) if host.name in near else (self._spaces[1], _THERE)
            )
            config.write_text(
                config.read_text().replace(
                    f"127.0.0.1\n    Port {host.port}\n", f"{address}\n    Port {host.port}\n"
                )
            )
            path = Path(host.path("sshd_config"))
            text = path.read_text().replace("127.0.0.1", address)
            path.write_text(text.replace("ClientAliveInterval 15", "ClientAliveInterval 0"))
            self.serve(host, space)

    def serve(self, host: SandboxHost, space: str = "") -> None:
        """Start the server of a host that was moved. space: its namespace; else the far one."""
        log = Path(host.path("log"))
        before = log.read_text().count("Server listening")
        words = ("/usr/sbin/sshd", "-D", "-e", "-f", host.path("sshd_config"))
        with open(log, "ab") as file:
            self._servers[host.name] = subprocess.Popen(
                ["ip", "netns", "exec", space or self._spaces[1], *words],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                # By its state directory the sandbox finds it when it goes down.
                env={**os.environ, "GENVX_STATE_DIR": host.state},
                start_new_session=True,
            )
        runs = until(lambda: log.read_text().count("Server listening") > before)
        assert runs, f"sshd does not start: {log.read_text()[-300:]}"

    def kill(self, host: SandboxHost) -> None:
        """Kill the server of a host that was moved, and all its connections."""
        server = self._servers[host.name]
        words = ["pgrep", "-P", str(server.pid)]
        sessions = subprocess.run(words, capture_output=True, text=True, check=False)
        for pid in (server.pid, *map(int, sessions.stdout.split())):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.wait()

    def end(self) -> None:
        for server in self._servers.values():
            server.send_signal(signal.SIGKILL)
            server.wait()
        for space in self._spaces:
            # Sessions whose client is cut off would stay until TCP gives up, which takes hours.
            listed = subprocess.run(["ip", "netns", "pids", space], stdout=-1, check=False).stdout
            for pid in listed.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", space], check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@contextmanager
def cable() -> Iterator[Cable]:
    made = Cable()
    try:
        made.lay()
        yield made
    finally:
        made.end()
