"""The SSH servers of a sandbox: which kind, and their start."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError
from genvx.sandbox import files, processes
from genvx.sandbox.processes import Process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.sandbox.host import SandboxHost

# Seconds in which a server has to answer.
START_TIMEOUT = 15.0


def choose_server(server: str | None) -> str:
    """Return the kind of server to start: the one that was asked for, or the best there is.

    Raises:
        InvalidInput: there is no such kind, or it is not installed.
    """
    if server is None:
        return "openssh" if _sshd() else "embedded"
    if server not in ("openssh", "embedded"):
        raise InvalidInput(f"a server is openssh or embedded, not {printable(server, 40)!r}")
    if server == "openssh" and not _sshd():
        raise InvalidInput("no sshd found; install openssh-server, or use --server embedded")
    return server


def _sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def start_all(
    directory: str, hosts: Sequence[SandboxHost], server: str, started: list[Process]
) -> None:
    """Start a server for each host, and wait until all answer.

    started: collects the servers, also if one of them fails, so that the caller can end them.
    """
    for host in hosts:
        started.append(_start(directory, host, server))
    for host, process in zip(hosts, started, strict=True):
        _await(host, process)


def _start(directory: str, host: SandboxHost, server: str) -> Process:
    sshd = _sshd()
    if server == "openssh" and sshd is not None:
        if os.geteuid() == 0:
            # sshd refuses to start as root without this directory (privilege separation), which
            # the distribution's service makes at boot.
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        command = [sshd, "-D", "-e", "-f", host.path("sshd_config")]
    else:
        command = [sys.executable, "-c", _embedded_code(), directory, json.dumps(asdict(host))]
    log = os.open(host.path("log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            # `down` recognises the processes of this sandbox by it.
            env={**os.environ, "GENVX_STATE_DIR": host.state},
            start_new_session=True,
        )
    finally:
        os.close(log)
    # The server outlives us; `down` finds it by its pid and its variables. A return code keeps
    # Popen from warning that a child still runs.
    process.returncode = 0
    return processes.identify(process.pid) or Process(process.pid, 0)


def _embedded_code() -> str:
    return (
        f"import sys; sys.path[0] = {files.package_root()!r}; "
        "from genvx.sandbox.server import main; main()"
    )


def _await(host: SandboxHost, process: Process) -> None:
    """Wait until the server of a host sends an SSH banner.

    Raises:
        StateError: the server has ended, or sent none in 15 seconds.
    """
    end = time.monotonic() + START_TIMEOUT
    while True:
        try:
            with socket.create_connection(("127.0.0.1", host.port), timeout=1.0) as sock:
                if sock.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        if time.monotonic() > end or not processes.alive(process):
            with open(host.path("log"), encoding="utf-8", errors="replace") as file:
                lines = file.read(8192).strip().splitlines() or ["it said nothing"]
            raise StateError(
                f"the server of {host.name} does not start: {printable(lines[-1], 300)}"
            )
        time.sleep(0.02)
