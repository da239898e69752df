"""Where the keeper of a command is, and whether it is one that this command may ask.

A keeper serves commands that are like the one that started it: the same user, version, variables
and namespaces. All of that is its mark, and others have a keeper of their own.
"""

from __future__ import annotations

import os
import stat
import sys
import zlib
from typing import TYPE_CHECKING, Any

from genvx._version import __version__
from genvx.core.wire.plain import dumps

if TYPE_CHECKING:
    from collections.abc import Mapping

# What is said on the socket; another number is another mark.
_VERSION = 2
IDLE = 600.0
# What the connections and the messages of a keeper may depend on. It is started with these alone:
# a window that asks for a secret (DISPLAY, SSH_ASKPASS) would come from nowhere.
_VARIABLES = (
    *("HOME", "USER", "LOGNAME", "SHELL", "PATH", "TZ", "LANG", "LANGUAGE"),
    *("LC_ALL", "LC_CTYPE", "LC_MESSAGES", "SSH_AUTH_SOCK", "KRB5CCNAME", "LD_LIBRARY_PATH"),
    *("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"),
)
_NAMESPACES = ("mnt", "net", "user")
# Linux takes 107 bytes in the address of a socket.
_LONGEST = 107
_MOST = 64 * 1024


def idle_time(environ: Mapping[str, str]) -> float | None:
    """Return after how many idle seconds a keeper ends, by $GENVX_KEEP; None if there is none.

    Raises:
        InvalidQuantity: the variable is neither 0 nor a duration.
    """
    text = environ.get("GENVX_KEEP", "")
    if text in ("", "0"):
        return None if text else IDLE
    from genvx.core.quantities.durations import parse_duration
    from genvx.core.quantities.naming import naming

    with naming("GENVX_KEEP"):
        return parse_duration(text)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a keeper has."""
    return {name: environ[name] for name in _VARIABLES if name in environ}


def mark(environ: Mapping[str, str]) -> list[Any]:
    """Return what a keeper and its commands have in common, as plain data."""
    return [
        _VERSION,
        __version__,
        os.path.dirname(__file__),
        sys.executable,
        os.geteuid(),
        os.getegid(),
        # In another namespace the same name may be another host, and the same path another file.
        *map(_namespace, _NAMESPACES),
        # The directory may be on a file system that several machines share.
        _boot(),
        session(),
        [list(pair) for pair in sorted(environment(environ).items())],
    ]


def _namespace(kind: str) -> str:
    try:
        return os.readlink(f"/proc/self/ns/{kind}")
    except OSError:
        return ""


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def session(root: str = "/") -> str:
    """Return the session of logind at whose end our processes are ended; "" if there is none.

    root: where the files of the system are.
    """
    # A keeper that one login has started would else end what another one runs.
    own = ""
    for line in _text(f"{root}proc/self/cgroup").splitlines():
        name = line.rpartition("/")[2]
        if name.startswith("session-") and name.endswith(".scope"):
            own = name
    return own if own and _ends_processes(root) else ""


def _ends_processes(root: str) -> bool:
    """Whether logind ends the processes of a session with it, as its files say."""
    # As logind reads them: the last one counts, and those in directories by their names.
    paths = [f"{root}etc/systemd/logind.conf"]
    parts: dict[str, str] = {}
    for place in ("usr/lib", "usr/local/lib", "run", "etc"):
        directory = f"{root}{place}/systemd/logind.conf.d"
        if os.path.isdir(directory):
            parts.update({name: f"{directory}/{name}" for name in os.listdir(directory)})
    ends = ""
    for path in (*paths, *(parts[name] for name in sorted(parts) if name.endswith(".conf"))):
        for line in _text(path).splitlines():
            name, _, text = line.partition("=")
            if name.strip() == "KillUserProcesses":
                ends = text.strip().lower()
    return ends in ("yes", "true", "on", "1", "y", "t")


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MOST)
    except OSError:
        return ""


def stem(marked: list[Any]) -> str:
    """Return the name of the files of the keeper with this mark, without their endings."""
    # No digest: two marks that share a name are told apart when they meet, and hashlib takes
    # longer to load than all the rest.
    return f"keep-{zlib.crc32(dumps(marked)):08x}"


def directory(environ: Mapping[str, str], *, make: bool = False) -> str | None:
    """Return the directory for sockets, which only we may enter; None if there is none.

    make: make it where it is missing.
    """
    for base in (environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.geteuid()}"):
        if base.startswith("/") and _ours(base):
            return _within(f"{base}/genvx", make)
    cache = environ.get("XDG_CACHE_HOME", "")
    if not cache.startswith("/"):
        cache = os.path.join(environ.get("HOME", ""), ".cache")
    return _within(f"{cache}/genvx/keep", make) if cache.startswith("/") else None


def _within(path: str, make: bool) -> str | None:
    if len(os.fsencode(path)) + len("/keep-00000000.sock") > _LONGEST:
        return None
    if make:
        try:
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        except OSError:
            return None
    return path if _ours(path) else None


def _ours(path: str) -> bool:
    """Whether a directory is ours and nobody else's."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.geteuid()
        and not stat.S_IMODE(status.st_mode) & 0o077
    )
