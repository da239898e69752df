"""An sshd of the user's own: OpenSSH's server for one connection, on its stdin and stdout.

It needs no root, and nothing listens. Its settings, its host key and the key that may log in are in
our memory, and it opens them through /proc. So they are not in lists of processes, need no place on
a disk, and are gone when this process ends.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.core.text import printable
from genvx.errors import CommandNotFound, StateError
from genvx.local import processes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PLACES = "/usr/sbin:/usr/local/sbin:/sbin:/usr/lib/ssh"
HOST_KEY = "host_key"
"""The name of the host key in its place."""
_LONGEST = 16 * 1024
_UNSAFE = re.compile(r'["\\\x00-\x1f\x7f]')
# Of Linux 6.3. Without it, machines with vm.memfd_noexec=2 refuse memory that has a path.
_MFD_NOEXEC_SEAL = 8
ENTER = """/bin/sh -c 'exec /bin/sh "$GENVX_RUN_DIR/enter" --session'"""
"""The command that enters a run instead of each session, written so that all login shells read it
alike. It starts sh, because the directory may be on a file system that is mounted noexec.
"""
# StrictModes is about directories that others may write; the key is in our memory. By default a
# connection may have ten sessions, and an editor opens more.
_SETTINGS = """\
PidFile none
StrictModes no
LogLevel ERROR
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxSessions 1000
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
"""


def find(environ: Mapping[str, str], what: str = "ssh-config") -> str:
    """Return the path of OpenSSH's server. what: the feature that needs it, for the message.

    Raises:
        CommandNotFound: it is not installed.
    """
    # It is usually not on the PATH of users.
    path = shutil.which("sshd", path=f"{_PLACES}:{environ.get('PATH', '')}")
    if path is None:
        raise CommandNotFound(f"no sshd here; {what} needs OpenSSH's server on the host")
    return os.path.abspath(path)  # sshd refuses to start from a relative one


def host_places(environ: Mapping[str, str]) -> list[str]:
    """Return the directories in which the host key of our own sshds may be, the best first. They
    are beside those of the agent.
    """
    cache = environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return [f"{cache}/genvx/ssh", f"/var/tmp/.genvx-agent-{os.geteuid()}/ssh"]


def command(
    program: str,
    key: str,
    places: Sequence[str],
    variables: Mapping[str, str],
    *,
    forced: str = "",
) -> list[str]:
    """Return the command of an sshd for one connection. This process must live until the client has
    logged in, because sshd reads from its memory.

    program: the path that `find` returns. key: the public key that may log in, as a line of
    authorized_keys. places: directories for its host key; the first that has one counts, else the
    first that can be written. variables: those of each session. forced: a line for the login shell,
    which runs instead of what the client asks for.

    Raises:
        StateError: there is no host key, and none can be made.
    """
    separate()
    lines = [
        f"HostKey {in_memory(host_key(places))}",
        f"AuthorizedKeysFile {in_memory(key.encode())}",
        f"UsePAM {'yes' if root_is_locked() else 'no'}",
        f"PermitTTY {'yes' if opens_terminals() else 'no'}",
        # On one line: only the first SetEnv counts.
        f"SetEnv {' '.join(quoted(*each) for each in variables.items())}",
        *([f"ForceCommand {forced}"] if forced else []),
    ]
    text = _SETTINGS + "\n".join(lines) + "\n"
    return [program, "-i", "-e", "-f", in_memory(os.fsencode(text))]


def opens_terminals() -> bool:
    """Whether an sshd of ours can open terminals.

    It gives each to the group tty. Where /dev/pts does not do that already, only root can, and sshd
    would end the connection without a word. Where it has none to give, the client says so.
    """
    if os.geteuid() == 0:
        return True
    import grp  # few hosts need it

    try:
        group = grp.getgrnam("tty").gr_gid
        ours, theirs = os.openpty()
    except KeyError:
        return True
    except OSError:
        return False
    try:
        return os.fstat(theirs).st_gid == group
    finally:
        os.close(ours)
        os.close(theirs)


def separate() -> None:
    """Make the directory in which root's sshd separates privileges, if the system has none."""
    if os.geteuid() == 0:
        with suppress(OSError):  # without it, sshd itself says what is missing
            os.mkdir("/run/sshd")
            os.chmod("/run/sshd", 0o755)  # whatever the umask is


def quoted(name: str, value: str) -> str:
    """Return a variable as a word of SetEnv.

    Raises:
        StateError: it is a path with characters that sshd cannot read.
    """
    # Versions of sshd differ in how a quote is escaped. No device is named so, and the name of an
    # environment is for people.
    if "/" in value and _UNSAFE.search(value):
        raise StateError(
            "sshd takes no path with a double quote, a backslash or a line break: "
            f"{printable(value, 300)}"
        )
    return f'"{name}={_UNSAFE.sub("_", value)}"'


def in_memory(content: bytes) -> str:
    """Return the path of a file in memory, which is gone when this process ends."""
    # Python may have been built for a C library without memfd_create.
    if hasattr(os, "memfd_create"):
        try:
            descriptor = os.memfd_create("genvx", os.MFD_CLOEXEC | _MFD_NOEXEC_SEAL)
        except OSError:  # an older kernel
            descriptor = os.memfd_create("genvx")
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    # sshd takes no host key that others might read.
    os.fchmod(descriptor, 0o600)
    while content:
        content = content[os.write(descriptor, content) :]
    return f"/proc/{os.getpid()}/fd/{descriptor}"


def root_is_locked() -> bool:
    """Whether we are root, and sshd without PAM would refuse us because root has no password."""
    if os.geteuid() != 0:
        return False
    name = processes.owner_of(0).name
    try:
        with open("/etc/shadow", encoding="utf-8", errors="replace") as file:
            return any(line.startswith(f"{name}:!") for line in file)
    except OSError:
        return False


# The host key


def host_key(places: Sequence[str]) -> bytes:
    """Return the host key in the first of these places that has one; else make one in the first
    that can be written.

    Raises:
        StateError: there is none, and none can be made.
    """
    for place in places:
        with suppress(OSError):  # a place that cannot be read is tried again below, and named
            return _read(place)
    trouble: Optional[OSError] = None
    for place in places:
        try:
            _make(place)
        except OSError as error:
            trouble = error
        # Another process may have been first, and then deletes our file: its key is there now.
        try:
            return _read(place)
        except OSError as error:
            trouble = trouble or error
    assert trouble is not None
    where = printable(places[-1], 200)
    raise StateError(f"cannot keep a host key in {where}: {trouble.strerror}")


def _read(place: str) -> bytes:
    """Read the key in a place, and delete files of processes that were killed while making it.

    Raises:
        OSError: it cannot be read, or is not there. StateError: others could have written it.
    """
    path = f"{place}/{HOST_KEY}"
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not (stat.S_ISREG(status.st_mode) and _is_private(status) and _is_private_at(place)):
            raise StateError(f"{printable(path, 200)} could be of another user; delete it")
        key = file.read(_LONGEST)
    for name in os.listdir(place):
        # Once there is a key, such a file has no use.
        if name.startswith(f"{HOST_KEY}."):
            with suppress(OSError):
                os.unlink(f"{place}/{name}")
    return key


def _make(place: str) -> None:
    """Make the key of a place. If several processes do so at once, one of the keys stays.

    Raises:
        OSError: it cannot be written. StateError: there is no ssh-keygen.
    """
    os.makedirs(place, mode=0o700, exist_ok=True)
    if not _is_private_at(place):
        raise PermissionError(errno.EPERM, "others may write there")
    path = f"{place}/{HOST_KEY}"
    temporary = f"{path}.{os.urandom(6).hex()}"
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "genvx", "-f", temporary]
    try:
        made = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        raise StateError(f"cannot run ssh-keygen: {error.strerror}") from None
    if made.returncode:
        with suppress(OSError):
            os.unlink(temporary)
        raise OSError(errno.EIO, printable(made.stderr.decode("utf-8", "replace").strip(), 200))
    # A link, not a rename, which would replace the key of another process: a client may know that
    # one by now. FileNotFoundError: that process has deleted our file.
    with suppress(FileExistsError, FileNotFoundError):
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())  # after a power failure there is the whole key, or none
        os.link(temporary, path)


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _is_private_at(place: str) -> bool:
    status = os.stat(place)
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022
