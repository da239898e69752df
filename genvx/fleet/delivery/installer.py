"""Stores the agent on a host: the second half of `loader.py`, sent only where it is needed.

A program like the loader, executed among its functions by a Python that is new enough. The file of
an agent is a mark, the sizes of the list and of the modules (4 bytes each), the sha256 of the list,
the list, and the modules. The list is a marshalled `{name: (is a package, offset, size, sha256)}`.
A module is its marshalled code, or its text if the host will hardly import it; in the whole agent
it is compressed.
The file appears complete or not at all, however many clients write it at once.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import zlib
from typing import TYPE_CHECKING

from genvx.fleet.delivery.loader import PARTIAL, magic, places, sha256, trusted

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_MOST = 64 * 1024 * 1024
_KEPT_SECONDS = 30 * 86400
# Where a driver of NVIDIA is; the last is that of Windows, below which a Linux runs.
_DRIVERS = ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/nvmap", "/dev/dxg")
_OURS = re.compile(r"agent-[0-9a-f]{64}\.[A-Za-z0-9._-]+")


def install(bundle: bytes, digest: str, token: str, name: str) -> tuple[bytes, str]:
    """Compile what the client sent, store it for the next call; return it and its file.

    If nothing can be written, the file is "": the agent runs from memory and is sent again for each
    call.
    """
    sources = zlib.decompressobj().decompress(bundle, _MOST)
    if sha256(sources).hex() != digest:
        sys.stderr.write("genvx: the agent was damaged on its way\n")
        sys.exit(1)
    modules = json.loads(sources)
    # The first part only answers questions, and ends.
    data = compiled(modules) if PARTIAL in modules else apart(lambda: compiled(modules))
    for place in places():
        try:
            leave(place, name, data)
        except OSError:
            continue
        return data, place + "/" + name
    os.write(1, f"\nGENVX-MEMORY {token}\n".encode())
    return data, ""


def apart(make: Callable[[], bytes]) -> bytes:
    """Return the bytes that a function makes, in a process of its own.

    Compiling leaves megabytes in memory that cannot be given back, and this process may become the
    supervisor of a run, which lives for days.
    """
    read, write = os.pipe()
    try:
        child = os.fork()
    except OSError:
        os.close(read)
        os.close(write)
        return make()  # no more processes
    if child == 0:
        code = 1
        try:
            with os.fdopen(write, "wb") as file:
                file.write(make())
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        data = file.read()
    if os.waitpid(child, 0)[1]:
        sys.exit("genvx: the agent could not be compiled here")
    return data


def compiled(sources: dict[str, Any]) -> bytes:
    """Compile all modules into the content of one file, for this Python only."""
    import marshal

    listed, modules, at = {}, [], 0
    whole = PARTIAL not in sources
    for module, (package, source) in sorted(sources.items()):
        try:
            code = source
            if is_wanted(module):
                code = compile(source, f"<genvx agent>/{module}", "exec", dont_inherit=True)
        except SyntaxError:
            continue  # a module for newer Pythons; the library that imports it catches the error
        dumped = marshal.dumps(code)
        if whole:
            dumped = zlib.compress(dumped, 1)
        listed[module] = (bool(package), at, len(dumped), sha256(dumped))
        modules.append(dumped)
        at += len(dumped)
    head = marshal.dumps(listed)
    sizes = len(head).to_bytes(4, "big") + at.to_bytes(4, "big")
    return b"".join([magic(), sizes, sha256(head), head, *modules])


def is_wanted(module: str) -> bool:
    """Return whether this host will import a module. The others stay text, which Python compiles if
    they are imported after all: the largest one is a third of all that is to be compiled.
    """
    library = module.partition(".")[0]
    if library == "tomli":
        return sys.version_info < (3, 11)  # from then on Python has tomllib
    return library != "pynvml" or any(map(os.path.exists, _DRIVERS))


def leave(place: str, name: str, data: bytes) -> None:
    """Write the file by atomic rename; raise OSError and leave nothing behind if that fails."""
    os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
    try:
        os.mkdir(place, 0o700)
    except FileExistsError:
        pass
    try:
        write(place, name, data)
    except OSError:
        try:
            os.rmdir(place)
        except OSError:
            pass  # not empty, or not ours
        raise


def write(place: str, name: str, data: bytes) -> None:
    """Write the file into a directory that only we can write to."""
    directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if not trusted(os.fstat(directory)):
            raise PermissionError(place)
        temporary = f"{name}.{os.urandom(8).hex()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=directory), "wb") as file:
                file.write(data)
                file.flush()
                # Without fsync, a power failure may leave the name with no content.
                os.fsync(file.fileno())
            # By descriptor of the directory that was checked: in /var/tmp its name could lead
            # elsewhere by now.
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            discard(temporary, directory)
            raise
        clean(directory)
    finally:
        os.close(directory)


def clean(directory: int) -> None:
    """Delete agents that were not used for a month, and files that were left incomplete."""
    now = time.time()  # noqa: TID251  # what the times of files are
    for name in os.listdir(directory):
        if _OURS.fullmatch(name):
            try:
                if now - os.stat(name, dir_fd=directory).st_mtime > _KEPT_SECONDS:
                    os.unlink(name, dir_fd=directory)
            except OSError:
                pass


def discard(name: str, directory: int) -> None:
    """Delete a file if it is there."""
    try:
        os.unlink(name, dir_fd=directory)
    except OSError:
        pass
