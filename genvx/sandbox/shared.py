"""What all hosts of a sandbox share, and the files with which a client reaches them."""

from __future__ import annotations

import getpass
import os
import shlex
import sys
from typing import TYPE_CHECKING

from genvx.sandbox.files import MODE_PRIVATE, make_key, package_root, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.sandbox.host import SandboxHost


def write_shared(root: str) -> str:
    """Make the user's key and the programs of all hosts; return the public key's line."""
    os.makedirs(f"{root}/bin", mode=MODE_PRIVATE)
    package = package_root()
    code = f"import sys; sys.path[0] = {package!r}; from genvx.cli.main import main; main()"
    line = f'exec {shlex.quote(sys.executable)} -c {shlex.quote(code)} "$@"\n'
    write(f"{root}/bin/genvx", f"#!/bin/sh\n{line}", 0o700)
    # The hosts find this Python on their PATH, wherever it is installed.
    os.symlink(os.path.realpath(sys.executable), f"{root}/bin/python3")
    return make_key(f"{root}/id_ed25519", "genvx-sandbox")


def write_client(root: str, hosts: Sequence[SandboxHost]) -> None:
    """Write the hostfile and the ssh_config with which the hosts are reached."""
    user = getpass.getuser()
    entries = [
        f"""\
Host {host.name}
    HostName 127.0.0.1
    Port {host.port}
    User {user}
    HostKeyAlias {host.name}
    IdentityFile {root}/id_ed25519
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile {root}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
"""
        for host in hosts
    ]
    write(f"{root}/ssh_config", "\n".join(entries))
    lines = [f"{host.name} ssh_config=ssh_config\n" for host in hosts]
    write(f"{root}/hostfile", "".join(lines))
