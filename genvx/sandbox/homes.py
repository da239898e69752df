"""The home of a host of a sandbox, its key, and the configuration of its sshd."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from genvx.sandbox.files import MODE_PRIVATE, make_key, write

if TYPE_CHECKING:
    from genvx.sandbox.host import SandboxHost


def write_host(root: str, host: SandboxHost, public: str) -> None:
    """Make the key, the home and the configuration of one host.

    public: the line of the user's public key.
    """
    os.makedirs(host.home, mode=MODE_PRIVATE)
    os.makedirs(host.state, mode=MODE_PRIVATE)
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
