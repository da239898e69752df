"""The settings of the sshds of a debug port: which keys may log in, and what a session may do.

They are in the memory of the process that serves the port. Only two files are on the disk: the host
key of the run, and one that says where the port is, for clients (record.py).
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from genvx.core.publickey import parse_key
from genvx.core.text import printable
from genvx.errors import StateError
from genvx.local.running import sshd
from genvx.local.runs.record import DEBUG

if TYPE_CHECKING:
    from collections.abc import Sequence

# Seconds for a program that does little. A machine may have ten times as much to do as it can.
_PATIENCE = 20.0
# In front of each key, so that a session is bounded twice.
_OPTIONS = "restrict,pty,port-forwarding"
# Characters with a meaning in patterns of sshd, and those that end a word.
_ODD_IN_NAMES = re.compile(r"[\s\"'*?!,#]")

# ForceCommand is the boundary: it starts every shell, command and subsystem. All else that sshd
# could do outside of the run is off. Only ports of the host itself may be forwarded: debuggers and
# notebooks listen there. Root's sshd would log in every user with these keys, so AllowUsers has
# ours.
_SETTINGS = """\
HostKey {host_key}
AuthorizedKeysFile {keys}
AllowUsers {user}@*
ForceCommand {enter}
SetEnv {variable}
Subsystem sftp internal-sftp
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM {pam}
PermitTTY {tty}
StrictModes no
PermitUserRC no
PermitUserEnvironment no
AllowAgentForwarding no
X11Forwarding no
PermitTunnel no
AllowStreamLocalForwarding no
AllowTcpForwarding yes
GatewayPorts no
PermitOpen 127.0.0.1:* localhost:* [::1]:*
PermitListen 127.0.0.1:* localhost:* [::1]:*
MaxAuthTries 6
MaxSessions 20
LoginGraceTime 30
ClientAliveInterval 30
ClientAliveCountMax 4
PrintMotd no
PrintLastLog no
UseDNS no
PidFile none
LogLevel INFO
"""


def make(program: str, directory: str, keys: Sequence[str]) -> tuple[str, str]:
    """Return the path of the settings, which are gone with this process, and the line of the host
    key.

    program: sshd. directory: of the run. keys: those that may log in, as lines of .pub files.

    Raises:
        StateError: there is no host key, or sshd does not take the settings.
    """
    host_key = sshd.in_memory(sshd.host_key([directory]))
    text = _SETTINGS.format(
        host_key=host_key,
        keys=sshd.in_memory("".join(f"{_OPTIONS} {key}\n" for key in keys).encode()),
        user=_user(),
        enter=sshd.ENTER,
        variable=sshd.quoted("GENVX_RUN_DIR", directory),
        pam="yes" if sshd.root_is_locked() else "no",
        tty="yes" if sshd.opens_terminals() else "no",
    )
    path = sshd.in_memory(os.fsencode(text))
    sshd.separate()
    _run([program, "-t", "-f", path])
    line = _run(["ssh-keygen", "-y", "-P", "", "-f", host_key])
    return path, parse_key(line.strip()).bare


def forget(directory: str) -> None:
    """Delete the files of the port, as far as that is possible. directory: of the run."""
    for name in (DEBUG, sshd.HOST_KEY):
        with suppress(OSError):
            os.unlink(os.path.join(directory, name))


def _user() -> str:
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise StateError("your user is not in the user database, which sshd needs") from None
    if _ODD_IN_NAMES.search(name):
        raise StateError(f"sshd cannot take the user name {printable(name, 100)!r}")
    return name


def _run(argv: Sequence[str]) -> str:
    try:
        answer = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StateError(f"{argv[0]} does not answer") from None
    except OSError as error:
        raise StateError(f"cannot run {argv[0]}: {error.strerror}") from None
    if answer.returncode:
        said = (answer.stderr or answer.stdout).strip().splitlines() or ["it gave no reason"]
        raise StateError(f"{argv[0]}: {printable(said[-1].strip(), 200)}")
    return answer.stdout
