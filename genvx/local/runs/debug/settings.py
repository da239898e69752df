"""What the sshds of a debug port are told: who may log in, and what they may do.

It is in the memory of the process that serves the port. On the disk are only the host key of the
run, and where the port is, for those who ask (record.py).
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
# What has a meaning in a pattern of sshd, or ends a word.
_ODD_IN_NAMES = re.compile(r"[\s\"'*?!,#]")

# ForceCommand is the boundary: whatever is asked for, a shell, a command or a subsystem, is started
# by it. All else that sshd could do outside of the run is off. What may be forwarded are ports of
# the host itself, where debuggers and notebooks listen. Root's sshd would log in any user with the
# keys that it is given, so AllowUsers names ours.
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

    program: sshd. directory: of the run. keys: who may log in, as lines of .pub files.

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
    """Delete what is on the disk, as far as that is possible. directory: of the run."""
    for name in (DEBUG, sshd.HOST_KEY):
        with suppress(OSError):
            os.unlink(os.path.join(directory, name))


def _user() -> str:
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise StateError("your user is not in the user database, which sshd needs") from None
    if _ODD_IN_NAMES.search(name):
        raise StateError(f"sshd cannot be told the name of user {printable(name, 100)!r}")
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
