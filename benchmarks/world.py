"""Hundreds of hosts on loopback: one real sshd that answers on every address of 127/8.

In namespaces of its own, so that port 22, the home of root and the network are the benchmark's
alone, and every contender runs with the settings that it has by default. Needs root.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import standins
from benchmarks.form import smallest
from genvx.sandbox import files

ROOT = Path(__file__).parent.parent
_INSIDE = "BENCH_INSIDE"
_PEERS = ROOT / ".venv" / "peers"

# Genv asks nvidia-smi; this one answers at once, which the real one does not. genvx has simulated
# devices.
_NVIDIA_SMI = """#!/bin/sh
case "$*" in
    *memory.total*) printf '81920\\n81920\\n' ;;
    *query-gpu=uuid*) printf 'GPU-a, 0\\nGPU-b, 1\\n' ;;
esac
"""


def inside() -> bool:
    """Whether we are in namespaces of our own."""
    return bool(os.environ.get(_INSIDE))


def enter() -> None:
    """Start again in new namespaces."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        raise SystemExit("scripts/bench needs root, for a network and a home of its own")
    os.environ[_INSIDE] = "1"
    spaces = ("--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
    command = [sys.executable, "-m", "benchmarks", *sys.argv[1:]]
    os.execvp("unshare", ["unshare", *spaces, *command])


@dataclass(frozen=True)
class World:
    """What contenders find. environ: for all of them."""

    directory: Path
    environ: dict[str, str]

    def hosts(self, number: int) -> list[str]:
        return [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(number)]

    def hostfile(self, number: int) -> str:
        return self._written(f"hosts{number}", self.hosts(number))

    @property
    def caches(self) -> Path:
        """What is kept on the hosts of `hostfile_apart`."""
        return self.directory / "caches"

    def hostfile_apart(self, number: int) -> str:
        """Hosts each of which has a cache directory of its own."""
        return self._written(f"apart{number}", [f"127.2.0.{n + 1}" for n in range(number)])

    def _written(self, name: str, hosts: list[str]) -> str:
        path = self.directory / name
        path.write_text("".join(f"{host}\n" for host in hosts))
        path.chmod(0o600)
        return str(path)

    @property
    def peer_python(self) -> str:
        return sys.executable if smallest() else str(_PEERS / "bin" / "python")


def install_peers() -> None:
    """genvx, Genv and parallel-ssh as any user would install them; pdsh and clush from Debian."""
    if not any(_PEERS.glob("lib/*/site-packages/botocore")):
        subprocess.run([sys.executable, "-m", "venv", _PEERS], check=True)
        peers = ("genv==1.4.3", "parallel-ssh", f"{ROOT}[remotes,aws]")
        subprocess.run([f"{_PEERS}/bin/pip", "install", "-q", *peers], check=True)
    pip = [f"{_PEERS}/bin/pip", "install", "-q", "--no-deps", "--force-reinstall", str(ROOT)]
    subprocess.run(pip, check=True)
    missing = [
        package
        for program, package in (
            ("pdsh", "pdsh"),
            ("rsync", "rsync"),
            ("clush", "clustershell"),
            ("sshd", "openssh-server"),
        )
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None
    ]
    if missing:
        subprocess.run(["apt-get", "update", "-qq"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
            check=True,
            stdout=subprocess.DEVNULL,
        )


_shared: list[World] = []


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """One world for all who want one, because to make it takes longer than the smallest form."""
    with world() as place:
        _shared.append(place)
        try:
            yield
        finally:
            _shared.clear()


@contextlib.contextmanager
def world() -> Iterator[World]:
    """The hosts, up."""
    if _shared:
        yield _shared[0]
        return
    loopback_up()
    # Of its own: other namespaces have the same /var/tmp, and may have a world, too.
    directory = Path(tempfile.mkdtemp(prefix="genvx-bench-", dir="/var/tmp"))
    home = directory / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    public = files.make_key(str(home / ".ssh" / "id_ed25519"), "bench")
    (home / ".ssh" / "authorized_keys").write_text(public + "\n")
    host_key = files.make_key(str(directory / "host_key"), "host")
    (home / ".ssh" / "known_hosts").write_text(f"127.* {' '.join(host_key.split()[:2])}\n")
    for name in ("bin", "state", "run"):
        (directory / name).mkdir(mode=0o700)
    (directory / "bin" / "nvidia-smi").write_text(_NVIDIA_SMI)
    (directory / "bin" / "nvidia-smi").chmod(0o755)
    (directory / "bin" / "python3").symlink_to(os.path.realpath(sys.executable))
    lines = Path("/etc/passwd").read_text().splitlines()
    lines = [f"root:x:0:0:root:{home}:/bin/sh" if w.startswith("root:") else w for w in lines]
    (directory / "passwd").write_text("\n".join(lines) + "\n")
    subprocess.run(["mount", "--bind", directory / "passwd", "/etc/passwd"], check=True)
    # genvx is where we are installed, or where a peer is.
    programs = os.path.dirname(sys.executable) if smallest() else f"{_PEERS}/bin"
    path = f"{directory}/bin:{programs}:/usr/local/bin:/usr/bin:/bin"
    variables = {
        "GENVX_STATE_DIR": f"{directory}/state",
        "GENVX_RUNS_DIR": f"{directory}/runs",
        "GENVX_SIMULATE": "2xA100-80GB",
        "PATH": path,
    }
    (directory / "sshd_config").write_text(
        f"HostKey {directory}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n"
        "PermitRootLogin yes\nMaxStartups 4096\nMaxSessions 4096\nLogLevel ERROR\n"
        "PrintMotd no\nPrintLastLog no\n"
        "SetEnv " + " ".join(f'"{k}={v}"' for k, v in variables.items()) + "\n"
        # The third word of SSH_CONNECTION is the address that the client has connected to.
        f"Match LocalAddress 127.2.0.0/16\nForceCommand set -- $SSH_CONNECTION; "
        f'XDG_CACHE_HOME={directory}/caches/$3 exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    with open(directory / "log", "wb") as log:
        sshd = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", directory / "sshd_config"],
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
    environ = {"HOME": str(home), "LANG": "C.UTF-8", "TERM": "dumb", "GENVX_KEEP": "0", **variables}
    if smallest():
        standins.leave(directory / "bin", directory)
        environ["PYTHONPATH"] = str(directory)
    try:
        while not _greets():
            time.sleep(0.05)
        yield World(directory, environ)
    finally:
        sshd.terminate()
        sshd.wait()
        subprocess.run(["umount", "/etc/passwd"], check=False)
        shutil.rmtree(directory, ignore_errors=True)


def _greets() -> bool:
    try:
        with socket.create_connection(("127.1.0.1", 22), timeout=5) as sock:
            return sock.recv(4) == b"SSH-"
    except OSError:
        return False


def loopback_up() -> None:
    """Have loopback in a network namespace of one's own."""
    get, put, up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(sock, get, request), 16)
        fcntl.ioctl(sock, put, struct.pack("16sh14x", b"lo", flags | up))
