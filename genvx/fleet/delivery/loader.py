"""Starts the agent on a host that has nothing of ours but what an earlier visit left there.

A program, not a part: `bootstrap.py` sends its text in the command, for whatever Python 3 the host
has, with the words DIGEST TOKEN [CALL]. So nothing of genvx is imported here, nothing newer than
Python 3.4 is written here (annotations are stripped), and it is short, because it is compiled anew
at each call.

An agent is one file of compiled modules, `agent-DIGEST.TAG`, in a directory of the user's. Who
might have written it is checked before a byte of it runs. Where there is none, `GENVX-NEED TOKEN`
asks the client for it, who answers on stdin after the call (`installer.py` reads on from there).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

OLDEST, NEWEST = 9, 14  # of Python 3

# How a Python is made to run the text of this file, which comes as its first word.
STUB = "import binascii,sys;exec(binascii.a2b_base64(sys.argv[1]))"


def sha256(data: bytes) -> bytes:
    # hashlib loads OpenSSL, which costs more than all that is hashed here.
    try:
        from _sha2 import sha256 as new  # type: ignore[import-not-found]
    except ImportError:
        try:
            from _sha256 import sha256 as new  # type: ignore[import-not-found]
        except ImportError:
            from hashlib import sha256 as new
    digest: bytes = new(data).digest()
    return digest


def places() -> list[str]:
    """Where an agent may lie: the user's cache, or where everybody can write and only the owner
    delete.
    """
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not cache.startswith("/"):
        cache = os.path.expanduser("~/.cache")
    found = [cache + "/genvx"] if cache.startswith("/") else []
    found.append("/var/tmp/.genvx-agent-" + str(os.geteuid()))
    return found


def trusted(status: os.stat_result) -> bool:
    """Whether only we (and root) can have written it."""
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def magic() -> bytes:
    """What tells compiled code of this Python from that of any other."""
    number: bytes = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER
    return number + b"GENVX AGENT\n"


def look(place: str, name: str) -> bytes | None:
    """The content of an agent that can be trusted; None if there is none."""
    try:
        directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if not trusted(os.fstat(directory)):
            return None
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(name, flags, dir_fd=directory), "rb") as file:
            status = os.fstat(file.fileno())
            if not trusted(status) or status.st_mode & 0o170000 != 0o100000:
                return None
            data = file.read()
        # The directory of modules vouches for each of them; see installer.py.
        head, listed, modules = parts(data)
        if data[:head] != magic() or sha256(listed) != data[head + 8 : head + 40]:
            return None
        if len(modules) != int.from_bytes(data[head + 4 : head + 8], "big"):
            return None  # cut short by a power failure, or a disk that was full and did not say so
        try:
            os.utime(name, dir_fd=directory)  # in use: not to be cleaned up
        except OSError:
            pass
        return data
    except OSError:
        return None
    finally:
        os.close(directory)


def parts(data: bytes) -> tuple[int, bytes, bytes]:
    """The length of the mark, the list of modules, and the modules."""
    head = len(magic())
    end = head + 40 + int.from_bytes(data[head : head + 4], "big")
    return head, data[head + 40 : end], data[end:]


class Modules:
    """Imports what `data` holds. All of it is in memory: nobody can take it away from under us.

    path: where it lies; empty if it does not.
    """

    def __init__(self, data: bytes, path: str) -> None:
        import marshal

        self.path = path
        _, listed, self.data = parts(data)
        self.listed = marshal.loads(listed)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name in self.listed:
            kind: Any = type(sys.__spec__)
            spec: ModuleSpec = kind(name, self, is_package=self.listed[name][0])
            return spec
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """As usual."""

    def exec_module(self, module: Any) -> None:
        import marshal

        _, at, size, digest = self.listed[module.__name__]
        code = self.data[at : at + size]
        if sha256(code) != digest:
            os.unlink(self.path)
            sys.exit("genvx: the agent in " + self.path + " was damaged, and is deleted; try again")
        exec(marshal.loads(code), module.__dict__)


def run(data: bytes, path: str, word: str, call: bytes = b"") -> None:
    sys.meta_path.insert(0, Modules(data, path))
    # Not an import of this package's own: the one that `data` holds.
    __import__("genvx.agent.__main__", None, None, ["main"]).main(call, word)


def exactly(size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = os.read(0, size - len(data))
        if not part:
            sys.exit(1)
        data += part
    return data


def line() -> bytes:
    data = b""
    while not data.endswith(b"\n") and len(data) < 100:
        data += exactly(1)
    return data


def start(digest: str, token: str, word: str = "") -> None:
    if sys.version_info < (3, OLDEST):
        newer(sys.argv)
    name = "agent-" + digest + "." + str(sys.implementation.cache_tag)
    for place in places():
        data = look(place, name)
        if data:
            return run(data, place + "/" + name, word)
    if word:
        sys.stderr.write("genvx: the agent that was just put here is gone; try again\n")
        sys.exit(1)
    os.write(1, ("\nGENVX-NEED " + token + "\n").encode())
    call = line()
    if not call.startswith(b"GENVX-CALL "):
        sys.exit("genvx: no call on stdin")
    call += exactly(int(call.split()[1]))
    program, size = line().split()[1:]
    names = dict(globals())
    exec(exactly(int(program)), names)
    data = names["install"](exactly(int(size)), digest, token, name)
    return run(data, "", "", call)


def newer(words: list[str]) -> None:
    """Go on in a newer Python, if there is one; the names with a version cannot lie about it."""
    for minor in range(NEWEST, OLDEST - 1, -1):
        for directory in os.environ.get("PATH", "").split(":"):
            path = directory + "/python3." + str(minor)
            if directory[:1] == "/" and "/shims" not in path and os.access(path, os.X_OK):
                os.execv(path, [path, "-I", "-S", "-c", STUB, *words[1:]])
    sys.stderr.write("GENVX-OLD-PYTHON " + sys.version.split()[0] + " " + sys.executable + "\n")
    sys.exit(127)
