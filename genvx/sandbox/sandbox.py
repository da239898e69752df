"""Starting and ending a simulated fleet.

It listens on the loopback interface only, and leaves no process and no file when it has ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError
from genvx.sandbox import files, processes
from genvx.sandbox.files import SandboxHost
from genvx.sandbox.ports import reserved
from genvx.sandbox.processes import Process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST_HOSTS = 512
_START_TIMEOUT = 15.0
_DEVICES = re.compile(r"(\d{1,4})(x[A-Za-z0-9 -]{1,60})?", re.ASCII)


@dataclass(frozen=True)
class Sandbox:
    """Sandbox is a simulated fleet that is up. `servers` are in the order of `hosts`.

    note: lines for people about its start; empty if there is nothing to say.
    """

    directory: str
    server: str
    hosts: tuple[SandboxHost, ...]
    servers: tuple[Process, ...]
    note: str = ""

    @property
    def hostfile(self) -> str:
        """The path of its hostfile."""
        return os.path.join(self.directory, "hostfile")

    @property
    def ssh_config(self) -> str:
        """The path of its ssh_config."""
        return os.path.join(self.directory, "ssh_config")


def default_directory(environ: Mapping[str, str]) -> str:
    """Return $GENVX_SANDBOX, or a directory of the user's on a local disk.

    Not in the home, which may be on a network file system.
    """
    return environ.get("GENVX_SANDBOX") or f"/var/tmp/genvx-sandbox-{os.getuid()}"


def up(directory: str, gpus: Sequence[str], *, server: str | None = None) -> Sandbox:
    """Start a host for each entry of `gpus`: a count, or count and model as in "2xH100-80GB".

    server: "openssh" or "embedded"; by default OpenSSH's sshd if it is installed and can allocate
    terminals, which an sshd of an ordinary user often cannot.

    Raises:
        InvalidInput: a sandbox is already up there, or an entry is invalid.
        StateError: the directory cannot be used, or a server does not start.
    """
    simulated = [_devices(entry) for entry in gpus]
    if not 1 <= len(simulated) <= _MOST_HOSTS:
        raise InvalidInput(f"a sandbox has from 1 to {_MOST_HOSTS} hosts")
    asked, server = server, _choose_server(server)
    directory = os.path.abspath(directory)
    # The path goes into sshd_config and ssh_config, where spaces and quotes have meanings.
    if not re.fullmatch(r"[A-Za-z0-9/._+@-]+", directory):
        raise InvalidInput(f"a sandbox's path has no spaces or quotes: {printable(directory, 200)}")
    try:
        os.makedirs(os.path.dirname(directory), exist_ok=True)
        os.mkdir(directory, 0o700)
    except FileExistsError:
        raise InvalidInput(
            f"a sandbox is in {directory} already; end it with: genvx sandbox down"
        ) from None
    except OSError as error:
        raise StateError(f"cannot make {directory}: {error.strerror}") from None
    started: list[Process] = []
    note = ""
    try:
        public = files.write_shared(directory)
        hosts = []
        # All ports stay reserved until the servers listen: the system could give a free one to
        # another program in between.
        with contextlib.ExitStack() as ports:
            for number, simulate in enumerate(simulated, 1):
                name, port = f"gpu-server-{number}", ports.enter_context(reserved())
                host = SandboxHost(name, port, simulate, f"{directory}/{name}")
                files.write_host(directory, host, public)
                hosts.append(host)
            files.write_client(directory, hosts)
            _start_all(directory, hosts, server, started)
            if server == "openssh" and not _gives_terminal(directory, hosts[0]):
                note = "the sshd of this machine gives an ordinary user no terminal:"
                note += f"\n  {_last_words(hosts[0])}\n  "
                if asked is None:
                    note += "The embedded server is used instead."
                    processes.end(started, directory)
                    started.clear()
                    server = "embedded"
                    _start_all(directory, hosts, server, started)
                else:
                    note += "remote activate and ssh will not work; --server embedded would."
        sandbox = Sandbox(directory, server, tuple(hosts), tuple(started), note)
        _record(sandbox)
    # BaseException: also after Ctrl-C. Half a sandbox would keep its directory, and the next `up`
    # be refused.
    except BaseException as error:
        processes.end(started, directory)
        shutil.rmtree(directory, ignore_errors=True)
        if isinstance(error, OSError):
            raise StateError(f"cannot make the sandbox: {error.strerror or error}") from None
        raise
    return sandbox


def _devices(entry: str) -> str:
    match = _DEVICES.fullmatch(entry.strip())
    if match is None:
        raise InvalidInput(
            f"not a number of GPUs: {printable(entry, 40)!r}; write it like 2 or 2xH100-80GB"
        )
    count, model = match.groups()
    return "0" if int(count) == 0 else f"{int(count)}{model or 'xA100-80GB'}"


def _choose_server(server: str | None) -> str:
    if server is None:
        return "openssh" if _sshd() else "embedded"
    if server not in ("openssh", "embedded"):
        raise InvalidInput(f"a server is openssh or embedded, not {printable(server, 40)!r}")
    if server == "openssh" and not _sshd():
        raise InvalidInput("no sshd found; install openssh-server, or use --server embedded")
    return server


def _sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _start_all(
    directory: str, hosts: Sequence[SandboxHost], server: str, started: list[Process]
) -> None:
    """Start a server for each host, and wait until all answer.

    started: collects the servers, also if one of them fails, so that the caller can end them.
    """
    for host in hosts:
        started.append(_start(directory, host, server))
    for host, process in zip(hosts, started, strict=True):
        _await(host, process)


def _gives_terminal(directory: str, host: SandboxHost) -> bool:
    """Return whether sshd can allocate a terminal for a session.

    sshd changes the group of the terminal to tty, which only root may do. It succeeds for others if
    the system has set the group already; in containers it often has not.
    """
    ssh = shutil.which("ssh")
    if os.geteuid() == 0 or ssh is None:
        return True
    return not (_runs(ssh, "-T", directory, host) and not _runs(ssh, "-tt", directory, host))


def _runs(ssh: str, terminal: str, directory: str, host: SandboxHost) -> bool:
    command = [ssh, "-F", f"{directory}/ssh_config", terminal, "-oBatchMode=yes", host.name, "exit"]
    try:
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_START_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0


def _last_words(host: SandboxHost) -> str:
    """Return the last complaint in the log of a server."""
    with open(host.path("log"), encoding="utf-8", errors="replace") as file:
        lines = [line for line in file.read(65536).splitlines() if "failed" in line]
    return printable(lines[-1], 200) if lines else "it does not say why"


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
    end = time.monotonic() + _START_TIMEOUT
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


def _record(sandbox: Sandbox) -> None:
    document = {
        "server": sandbox.server,
        "hosts": [asdict(host) for host in sandbox.hosts],
        "servers": [asdict(server) for server in sandbox.servers],
    }
    files.write(os.path.join(sandbox.directory, "sandbox.json"), json.dumps(document))


def find(directory: str) -> Sandbox | None:
    """Read the sandbox of a directory; return None if there is none.

    Raises:
        StateError: the directory belongs to somebody else, or is not a sandbox.
    """
    directory = os.path.abspath(directory)
    try:
        # lstat, and our uid: `down` deletes the directory, and in /var/tmp anybody may have made it
        # or a link with its name.
        status = os.lstat(directory)
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise StateError(f"{directory} is not a directory of yours; choose another with --dir")
    try:
        with open(os.path.join(directory, "sandbox.json"), encoding="ascii") as file:
            document = json.load(file)
        hosts = tuple(SandboxHost(**host) for host in document["hosts"])
        servers = tuple(Process(**server) for server in document["servers"])
        return Sandbox(directory, str(document["server"]), hosts, servers)
    except FileNotFoundError:
        raise StateError(
            f"{directory} has no sandbox.json: it is an incomplete sandbox, or none; look at it, "
            "and delete it"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise StateError(f"{directory}/sandbox.json cannot be read; delete the directory") from None


def running(sandbox: Sandbox) -> tuple[bool, ...]:
    """Return whether the server of each host runs, in the order of the hosts."""
    return tuple(processes.alive(server) for server in sandbox.servers)


def down(directory: str) -> bool:
    """End the sandbox: its servers, the processes on its hosts, and its files.

    Return False if there was none.

    Raises:
        StateError: as `find`, or a file cannot be deleted.
    """
    sandbox = find(directory)
    if sandbox is None:
        return False
    processes.end(sandbox.servers, sandbox.directory)
    try:
        shutil.rmtree(sandbox.directory)
    except OSError as error:
        raise StateError(f"cannot delete {sandbox.directory}: {error.strerror}") from None
    return True
