"""Starting and ending a simulated fleet.

It listens on the loopback interface only, and leaves no process and no file when it has ended.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError
from genvx.sandbox import ending, homes, servers, shared, terminals
from genvx.sandbox.host import SandboxHost
from genvx.sandbox.ports import reserved
from genvx.sandbox.record import Sandbox, find, record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.sandbox.processes import Process

_MOST_HOSTS = 512
_DEVICES = re.compile(r"(\d{1,4})(x[A-Za-z0-9 -]{1,60})?", re.ASCII)


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
    asked, server = server, servers.choose_server(server)
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
        public = shared.write_shared(directory)
        hosts = []
        # All ports stay reserved until the servers listen: the system could give a free one to
        # another program in between.
        with contextlib.ExitStack() as ports:
            for number, simulate in enumerate(simulated, 1):
                name, port = f"gpu-server-{number}", ports.enter_context(reserved())
                host = SandboxHost(name, port, simulate, f"{directory}/{name}")
                homes.write_host(directory, host, public)
                hosts.append(host)
            shared.write_client(directory, hosts)
            servers.start_all(directory, hosts, server, started)
            if server == "openssh" and not terminals.gives_terminal(directory, hosts[0]):
                note = "the sshd of this machine gives an ordinary user no terminal:"
                note += f"\n  {terminals.last_words(hosts[0])}\n  "
                if asked is None:
                    note += "The embedded server is used instead."
                    ending.end(started, directory)
                    started.clear()
                    server = "embedded"
                    servers.start_all(directory, hosts, server, started)
                else:
                    note += "remote activate and ssh will not work; --server embedded would."
        sandbox = Sandbox(directory, server, tuple(hosts), tuple(started), note)
        record(sandbox)
    # BaseException: also after Ctrl-C. Half a sandbox would keep its directory, and the next `up`
    # be refused.
    except BaseException as error:
        ending.end(started, directory)
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


def down(directory: str) -> bool:
    """End the sandbox: its servers, the processes on its hosts, and its files.

    Return False if there was none.

    Raises:
        StateError: as `find`, or a file cannot be deleted.
    """
    sandbox = find(directory)
    if sandbox is None:
        return False
    ending.end(sandbox.servers, sandbox.directory)
    try:
        shutil.rmtree(sandbox.directory)
    except OSError as error:
        raise StateError(f"cannot delete {sandbox.directory}: {error.strerror}") from None
    except RecursionError:  # before Python 3.13
        raise StateError(
            f"cannot delete {sandbox.directory}: it has too many directories in directories; "
            "delete it by hand, with rm -rf"
        ) from None
    return True
