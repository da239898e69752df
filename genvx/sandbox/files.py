"""The files of a sandbox: keys, configurations, and the homes of its hosts.

All below one private directory.
"""

from __future__ import annotations

import getpass
import os
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import genvx

if TYPE_CHECKING:
    from collections.abc import Sequence

_MODE_PRIVATE = 0o700


@dataclass(frozen=True)
class SandboxHost:
    """SandboxHost is one simulated host.

    simulate: its devices, as $GENVX_SIMULATE has them, such as "2xA100-80GB". directory: where its
    files are.
    """

    name: str
    port: int
    simulate: str
    directory: str

    @property
    def state(self) -> str:
        """The state directory of genvx on this host."""
        return os.path.join(self.directory, "state")

    @property
    def home(self) -> str:
        """The home directory of the user on this host."""
        return os.path.join(self.directory, "home")

    def path(self, name: str) -> str:
        """Return the path of a file of this host."""
        return os.path.join(self.directory, name)

    def variables(self, root: str) -> dict[str, str]:
        """Return the variables of every session on this host."""
        return {
            "GENVX_SIMULATE": self.simulate,
            "GENVX_STATE_DIR": self.state,
            # Otherwise `tmux new` on a host would open a window in a tmux server of this machine,
            # with the variables of that server.
            "TMUX_TMPDIR": self.state,
            "HOME": self.home,
            # All hosts share an agent, like machines whose homes are on one network file system.
            "XDG_CACHE_HOME": f"{root}/cache",
            "PATH": f"{root}/bin:/usr/local/bin:/usr/bin:/bin",
        }


def package_root() -> str:
    """Return the directory from which this package was imported: an installation or a checkout."""
    return os.path.dirname(os.path.dirname(os.path.abspath(str(genvx.__file__))))


def write(path: str, content: str | bytes, mode: int = 0o600) -> None:
    """Write a file; it has this mode from the beginning if it is new."""
    data = content.encode() if isinstance(content, str) else content
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def make_key(path: str, comment: str) -> str:
    """Write an ed25519 key in OpenSSH's format; return its public line."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    line = f"{public.decode('ascii')} {comment}"
    write(path, private)
    write(f"{path}.pub", line + "\n")
    return line


def write_shared(root: str) -> str:
    """Make the user's key and the programs of all hosts; return the public key's line."""
    os.makedirs(f"{root}/bin", mode=_MODE_PRIVATE)
    package = package_root()
    code = f"import sys; sys.path[0] = {package!r}; from genvx.cli.main import main; main()"
    line = f'exec {shlex.quote(sys.executable)} -c {shlex.quote(code)} "$@"\n'
    write(f"{root}/bin/genvx", f"#!/bin/sh\n{line}", 0o700)
    # The hosts find this Python on their PATH, wherever it is installed.
    os.symlink(os.path.realpath(sys.executable), f"{root}/bin/python3")
    return make_key(f"{root}/id_ed25519", "genvx-sandbox")


def write_host(root: str, host: SandboxHost, public: str) -> None:
    """Make the key, the home and the configuration of one host.

    public: the line of the user's public key.
    """
    os.makedirs(host.home, mode=_MODE_PRIVATE)
    os.makedirs(host.state, mode=_MODE_PRIVATE)
    line = make_key(host.path("host_key"), host.name)
    write(host.path("authorized_keys"), public + "\n")
    with open(f"{root}/known_hosts", "a", encoding="ascii") as file:
        file.write(f"{host.name} {' '.join(line.split()[:2])}\n")
    path = f"{root}/bin"
    # /etc/profile resets PATH in login shells, so start-up files set it again. A short, fixed
    # prompt is easy for tests to recognise.
    posix = f"PATH={shlex.quote(path)}:$PATH\nPS1='$ '\n"
    write(f"{host.home}/.profile", posix)
    write(f"{host.home}/.bash_profile", posix)
    write(f"{host.home}/.bashrc", posix)
    write(f"{host.home}/.zshrc", f"path=({shlex.quote(path)} $path)\nPROMPT='$ '\n")
    write(f"{host.home}/.tcshrc", f"set path = ( {shlex.quote(path)} $path )\nset prompt = '$ '\n")
    write(f"{host.home}/.hushlogin", "")
    os.makedirs(f"{host.home}/.config/fish")
    # If this directory is missing, the first fish in a home parses all manual pages, which takes
    # long.
    os.makedirs(f"{host.home}/.local/share/fish/generated_completions")
    write(
        f"{host.home}/.config/fish/config.fish",
        f"set -gx PATH {shlex.quote(path)} $PATH\nset -g fish_greeting\n"
        "function fish_prompt; echo '$ '; end\n",
    )
    write(host.path("sshd_config"), _sshd_config(root, host))


def _sshd_config(root: str, host: SandboxHost) -> str:
    # sshd uses the first SetEnv line only, so all variables are in one. StrictModes no: the
    # directory may be below /tmp, which others can write to. MaxStartups: a fleet of simulated
    # hosts logs in to one machine all at once.
    variables = " ".join(f'"{name}={value}"' for name, value in host.variables(root).items())
    return f"""\
ListenAddress 127.0.0.1
Port {host.port}
HostKey {host.path("host_key")}
PidFile none
AuthorizedKeysFile {host.path("authorized_keys")}
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
PrintLastLog no
AcceptEnv LANG LC_*
SetEnv {variables}
Subsystem sftp internal-sftp
MaxStartups 256
MaxSessions 256
ClientAliveInterval 15
ClientAliveCountMax 3
"""


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
