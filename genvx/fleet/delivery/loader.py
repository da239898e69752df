"""Starts the agent on a host that has nothing of genvx but what an earlier call stored there.

This is a program of its own: `bootstrap.py` sends its text in the command, for any Python 3 that
the host has, with the words DIGEST TOKEN [CALL]. So it imports nothing of genvx, uses nothing newer
than Python 3.4 (annotations, docstrings and comments are stripped), and is short, because it is
compiled anew at each call.

An agent is one file of compiled modules, `agent-DIGEST.TAG`, in a directory of the user. Before any
of it runs, the loader checks who may have written it. If there is none, it asks the client with
`GENVX-NEED TOKEN`; the client sends the agent on stdin after the call, and `installer.py` reads it.
An agent that lacks what the call needs says `GENVX-REST TOKEN` (parts.py).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

OLDEST, NEWEST = 9, 14  # of Python 3
# A module of this name is in agents that are not whole, and the packages that may lack modules.
PARTIAL = "genvx.partial"
OURS = ("genvx", "filelock", "pynvml", "tomli")

# The argument of `python -c` that runs the text of this file, which is its first word: in base64,
# because not all shells pass other text unchanged.
STUB = "import binascii,sys;exec(binascii.a2b_base64(sys.argv[1]))"


def sha256(data: bytes | memoryview) -> bytes:
    """Return the SHA-256 of bytes."""
    # hashlib loads OpenSSL, which takes longer than all that is hashed here.
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
    """Return the directories for agents: in the user's cache, and in /var/tmp, where everybody can
    write but only owners delete.
    """
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not cache.startswith("/"):
        cache = os.path.expanduser("~/.cache")
    found = [cache + "/genvx"] if cache.startswith("/") else []
    found.append("/var/tmp/.genvx-agent-" + str(os.geteuid()))
    return found


def trusted(status: os.stat_result) -> bool:
    """Return whether only we and root can have written a file or directory."""
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def magic() -> bytes:
    """Return the bytes that distinguish compiled code of this Python from that of others."""
    number: bytes = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER
    return number + b"GENVX AGENT 2\n"


def look(place: str, name: str) -> bytes | None:
    """Read an agent that can be trusted; return None if there is none."""
    try:
        directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if not trusted(os.fstat(directory)):
            return None
        # O_NOFOLLOW, O_NONBLOCK: a link could lead to any file of ours, and opening a FIFO blocks.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(name, flags, dir_fd=directory), "rb") as file:
            status = os.fstat(file.fileno())
            if not trusted(status) or status.st_mode & 0o170000 != 0o100000:
                return None
            data = file.read()
        # The list has a digest of each module, which is checked when the module is imported: most
        # calls need few of them.
        head, listed, modules = parts(data)
        if data[:head] != magic() or sha256(listed) != data[head + 8 : head + 40]:
            return None
        if len(modules) != int.from_bytes(data[head + 4 : head + 8], "big"):
            return None  # cut short, by a power failure or a full disk that reported no error
        try:
            os.utime(name, dir_fd=directory)  # in use, so `clean` keeps it for another month
        except OSError:
            pass
        return data
    except OSError:
        return None
    finally:
        os.close(directory)


def parts(data: bytes) -> tuple[int, bytes, memoryview]:
    """Return the length of the mark, the list of modules, and the modules."""
    head = len(magic())
    end = head + 40 + int.from_bytes(data[head : head + 4], "big")
    # No copy: an agent may live as long as a run, and these are megabytes.
    return head, data[head + 40 : end], memoryview(data)[end:]


class Modules:
    """Modules imports from the content of an agent's file, which is kept in memory.

    So the file may be deleted at any time. path: the file; empty if there is none. token: of the
    call, for an agent that may not be whole.
    """

    def __init__(self, data: bytes, path: str, token: str = "") -> None:
        import marshal

        self.path = path
        _, listed, self.data = parts(data)
        self.listed = marshal.loads(listed)
        # Kept for the client: the agent points descriptor 1 at stderr.
        self.out = os.dup(1) if PARTIAL in self.listed else None
        self.token = token

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find a module, as import asks its finders to."""
        if name in self.listed:
            kind: Any = type(sys.__spec__)
            spec: ModuleSpec = kind(name, self, is_package=self.listed[name][0])
            return spec
        if self.out is not None and name.split(".")[0] in OURS:
            # Before any answer: the client asks the whole agent. An ImportError might be caught,
            # and the answer would be another one.
            os.write(self.out, ("\nGENVX-REST " + self.token + "\n").encode())
            os._exit(1)
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave the creation of the module to Python."""

    def exec_module(self, module: Any) -> None:
        """Execute a module; delete the file and exit if the code is damaged."""
        import marshal

        _, at, size, digest = self.listed[module.__name__]
        code = self.data[at : at + size]
        if sha256(code) != digest:
            os.unlink(self.path)
            sys.exit("genvx: the agent in " + self.path + " was damaged, and is deleted; try again")
        if self.out is None:
            # The whole agent may be in memory as long as a run, and most of it is never imported.
            import zlib

            code = memoryview(zlib.decompress(code))
        exec(marshal.loads(code), module.__dict__)  # code, or the text of a module seldom needed


def run(data: bytes, path: str, word: str, call: bytes = b"", token: str = "") -> None:
    """Run the agent in `data`, which handles the call."""
    sys.meta_path.insert(0, Modules(data, path, token))
    # Not an import statement, which pack.py would strip: this module is in `data`, not here.
    __import__("genvx.agent.__main__", None, None, ["main"]).main(call, word)


def exactly(size: int) -> bytes:
    """Read `size` bytes from stdin; exit if it ends before."""
    # os.read, not sys.stdin: a buffer would take bytes that the agent reads later.
    data = b""
    while len(data) < size:
        part = os.read(0, size - len(data))
        if not part:
            sys.exit(1)
        data += part
    return data


def line() -> bytes:
    """Read a line from stdin, of about 100 bytes at most."""
    data = b""
    while not data.endswith(b"\n") and len(data) < 100:
        data += exactly(1)
    return data


def start(digest: str, token: str, word: str = "") -> None:
    """Start the agent with this digest: from its file, or from what the client sends."""
    if sys.version_info < (3, OLDEST):
        newer(sys.argv)
    name = "agent-" + digest + "." + str(sys.implementation.cache_tag)
    for place in places():
        data = look(place, name)
        if data:
            return run(data, place + "/" + name, word, b"", token)
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
    data, path = names["install"](exactly(int(size)), digest, token, name)
    return run(data, path, "", call, token)


def newer(words: list[str]) -> None:
    """Continue in a newer Python, if there is one; a name like python3.12 says its version."""
    for minor in range(NEWEST, OLDEST - 1, -1):
        for directory in os.environ.get("PATH", "").split(":"):
            path = directory + "/python3." + str(minor)
            if directory[:1] == "/" and "/shims" not in path and os.access(path, os.X_OK):
                os.execv(path, [path, "-I", "-S", "-c", STUB, *words[1:]])
    sys.stderr.write("GENVX-OLD-PYTHON " + sys.version.split()[0] + " " + sys.executable + "\n")
    sys.exit(127)
