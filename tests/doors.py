"""Real servers to log in to in every way: OpenSSH's and dropbear, with a user of their own.

The user is in a passwd that only the server sees, in a mount namespace of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genvx.sandbox import files
from genvx.sandbox.ports import reserved
from tests.helpers import until

USER, PASSWORD = "bob", "bob123"
# openssl passwd -6 -salt genvx bob123
_HASH = (
    "$6$genvx$gRqsFyoMcjtMTYAuuD.EYdUt1MPifn7E7lJSmNbxQV.w1R4ZNPdonBtKQyM.bUp."
    "m6ls70ghEABRki0kCjSM5."
)
_APART = 'mount --bind "$D/passwd" /etc/passwd && mount --bind "$D/shadow" /etc/shadow && exec "$@"'


@dataclass(frozen=True)
class Door:
    """A server that runs. host_key: its public one. key: the private key that it knows."""

    directory: Path
    port: int
    host_key: str

    @property
    def key(self) -> Path:
        return self.directory / "key"

    def environ(self, *options: str) -> dict[str, str]:
        """What makes genvx reach it as `door`; options are lines of ssh_config."""
        lines = [
            "Host door",
            "HostName 127.0.0.1",
            f"Port {self.port}",
            f"User {USER}",
            "HostKeyAlias door",
            f"UserKnownHostsFile {self.directory}/known_hosts",
            "GlobalKnownHostsFile /dev/null",
            *options,
        ]
        (self.directory / "ssh_config").write_text("\n".join(lines) + "\n")
        return {"GENVX_SSH_CONFIG": str(self.directory / "ssh_config")}

    def hostfile(self, options: str) -> str:
        path = self.directory / "hostfile"
        path.write_text(f"door {options}\n")
        path.chmod(0o600)
        return str(path)


@contextlib.contextmanager
def door(
    kind: str,
    directory: Path,
    *settings: str,
    shell: str = "/bin/sh",
    user: str = USER,
    more: Mapping[str, str] | None = None,
) -> Iterator[Door]:
    """Start a server; kind: openssh or dropbear; settings: lines of sshd_config; shell: the login
    shell of its user; more: variables of its sessions.
    """
    with contextlib.ExitStack() as reservation:
        port = reservation.enter_context(reserved())
        server = _start(kind, directory, f"127.0.0.1:{port}", settings, (user, shell), more or {})
        try:
            until(lambda: _greets(port), "the server greets")
            reservation.close()
            known = (directory / "known_hosts").read_text()
            yield Door(directory, port, known.removeprefix("door ").strip())
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


def _start(
    kind: str,
    directory: Path,
    place: str,
    settings: Sequence[str],
    login: tuple[str, str],
    more: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    user, shell = login
    home = directory / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    public = files.make_key(str(directory / "key"), "test")
    (home / ".ssh" / "authorized_keys").write_text(public + "\n")
    (home / ".ssh" / "authorized_keys").chmod(0o600)
    # The machine may have a user of that name, and the first line counts.
    others = [
        line
        for line in Path("/etc/passwd").read_text().splitlines(keepends=True)
        if not line.startswith(f"{user}:")
    ]
    (directory / "passwd").write_text("".join(others) + f"{user}:x:0:0::{home}:{shell}\n")
    (directory / "shadow").write_text(f"root:*:19000::::::\n{user}:{_HASH}:19000::::::\n")
    variables = {
        "GENVX_STATE_DIR": str(directory / "state"),
        "GENVX_SIMULATE": "2xA100-80GB",
        "XDG_CACHE_HOME": str(directory / "cache"),
        **more,
    }
    (directory / "state").mkdir(mode=0o700)
    if kind == "openssh":
        host_key = files.make_key(str(directory / "host_key"), "door")
        (directory / "sshd_config").write_text(
            "\n".join(
                [
                    *settings,
                    f"ListenAddress {place}",
                    f"HostKey {directory}/host_key",
                    "PidFile none",
                    "StrictModes no",
                    "UsePAM no",
                    "PermitRootLogin yes",
                    "SetEnv " + " ".join(f'"{k}={v}"' for k, v in variables.items()),
                ]
            )
            + "\n"
        )
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", f"{directory}/sshd_config"]
    else:
        made = subprocess.run(
            ["dropbearkey", "-t", "ed25519", "-f", f"{directory}/host_key"],
            capture_output=True,
            text=True,
            check=True,
        )
        host_key = next(line for line in made.stdout.splitlines() if line.startswith("ssh-"))
        command = [
            *("dropbear", "-F", "-E", "-e", "-p", place),
            *("-r", f"{directory}/host_key", "-P", f"{directory}/pid"),
        ]
    (directory / "known_hosts").write_text(f"door {' '.join(host_key.split()[:2])}\n")
    with open(directory / "log", "wb") as log:
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", _APART, "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin",
                "D": str(directory),
                **variables,
            },
            start_new_session=True,
        )


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            return sock.recv(4) == b"SSH-"
    except OSError:
        return False
