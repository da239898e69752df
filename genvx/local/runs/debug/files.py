"""What sshd needs for the debug port of a run: its programs, host key, keys and configuration.

    RUNS/<id>/debug/host_key          made for this run
                    keys.<user>       who may log in, as that user only
                    sshd_config
              debug.json              the port and the host key, for those who ask (record.py)

They are there while the port is open.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from genvx.core.publickey import parse_key
from genvx.core.sshserver import PRIVILEGE_SEPARATION, SSHD_PLACES
from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError
from genvx.local.runs.record import DEBUG, ENTER, trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

_DIRECTORY = "debug"
# Seconds for a program that does little. A machine may have ten times as much to do as it can.
_PATIENCE = 60.0

# ForceCommand is the boundary: whatever is asked for, a shell, a command or a subsystem, is started
# by it. All else that sshd could do outside of the run is off. What may be forwarded are ports of
# the host itself, where debuggers and notebooks listen.
_CONFIGURATION = """\
HostKey "{directory}/host_key"
AuthorizedKeysFile "{escaped}/keys.%u"
ForceCommand {command}
Subsystem sftp internal-sftp
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
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
# In front of each key, so that a session is bounded twice.
_OPTIONS = "restrict,pty,port-forwarding"


def sshd() -> str:
    """The path of OpenSSH's server.

    Raises:
        InvalidInput: this host has none, or not what it needs.
    """
    for path in (*SSHD_PLACES, shutil.which("sshd") or ""):
        if path and os.access(path, os.X_OK):
            break
    else:
        raise InvalidInput("no sshd on this host; a debug port needs OpenSSH's server there")
    if shutil.which("ssh-keygen") is None:
        raise InvalidInput("no ssh-keygen on this host; a debug port needs it for its host key")
    if os.geteuid() == 0 and _is_locked("root"):
        raise InvalidInput(
            "root's account is locked on this host, so sshd lets nobody log in as root; "
            "usermod -p '*' root changes that, and gives root no password"
        )
    return path


def _is_locked(user: str) -> bool:
    """Whether the password of a user is locked, as sshd sees it without PAM. For root to ask."""
    with suppress(OSError), open("/etc/shadow", encoding="utf-8", errors="replace") as file:
        return any(line.startswith(f"{user}:!") for line in file)
    return False


def make(sshd: str, directory: str, run: str, keys: Sequence[str]) -> str:
    """Write the files; return the line of the host key.

    directory: of the run. keys: who may log in.

    Raises:
        StateError: they cannot be written, or sshd does not take them.
    """
    place = os.path.join(directory, _DIRECTORY)
    if any(character in directory for character in '"\\\n\r'):
        raise StateError(
            f"sshd takes no quotes, backslashes and line breaks in {printable(directory)}; choose "
            "another directory for runs with GENVX_RUNS_DIR, or runs= in a hostfile"
        )
    try:
        shutil.rmtree(place, ignore_errors=True)
        os.mkdir(place, 0o700)
        line = _host_key(os.path.join(place, "host_key"), run)
        user = pwd.getpwuid(os.geteuid()).pw_name
        lines = "".join(f"{_OPTIONS} {each}\n" for each in keys)
        # By the name of the user: root's sshd would log in anybody whose keys it finds.
        _write(os.path.join(place, f"keys.{user}"), lines)
        # By sh: the directory may be on a file system on which nothing is executed.
        command = f"/bin/sh {shlex.quote(os.path.join(directory, ENTER))} --session"
        escaped = place.replace("%", "%%")
        text = _CONFIGURATION.format(directory=place, escaped=escaped, command=command)
        _write(configuration(directory), text)
        if os.geteuid() == 0:
            _make_privilege_separation()
        _run([sshd, "-t", "-f", configuration(directory)])
    except KeyError:
        raise StateError("your user is not in the host's user database; sshd needs that") from None
    except OSError as error:
        raise trouble(error, f"write to {place}") from None
    return line


def _make_privilege_separation() -> None:
    with suppress(FileExistsError):
        os.mkdir(PRIVILEGE_SEPARATION)
        os.chmod(PRIVILEGE_SEPARATION, 0o755)  # whatever the umask is


def configuration(directory: str) -> str:
    """The path of sshd's configuration. directory: of the run."""
    return os.path.join(directory, _DIRECTORY, "sshd_config")


def delete(directory: str) -> None:
    """Delete the files, as far as that is possible. directory: of the run."""
    with suppress(OSError):
        os.unlink(os.path.join(directory, DEBUG))
    shutil.rmtree(os.path.join(directory, _DIRECTORY), ignore_errors=True)


def _host_key(path: str, run: str) -> str:
    _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"genvx-{run}", "-f", path])
    with open(f"{path}.pub", encoding="ascii") as file:
        return parse_key(file.read().strip()).bare


def _run(argv: Sequence[str]) -> None:
    try:
        answer = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise StateError(f"{argv[0]} does not answer; the debug port cannot be opened") from None
    if answer.returncode:
        said = (answer.stderr or answer.stdout).strip().splitlines() or ["it gave no reason"]
        raise StateError(
            f"the debug port cannot be opened: {argv[0]}: {printable(said[-1].strip(), 200)}"
        )


def _write(path: str, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
