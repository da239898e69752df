"""Puts the agent on a host: the second half of `loader.py`, sent only where it is needed.

A program like the loader, and run beside its functions, for the Python that the loader has found
to be new enough. What it writes is
a mark, the sizes of what follows (4 bytes each), the list's sha256, the list, and the modules. The
list is a marshalled `{name: (is a package, offset, size, sha256)}`. The file appears complete or
not at all, however many clients do this at once.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import zlib
from typing import TYPE_CHECKING

from genvx.fleet.delivery.loader import magic, places, sha256, trusted

if TYPE_CHECKING:
    from typing import Any

_MOST = 64 * 1024 * 1024
_KEPT_SECONDS = 30 * 86400
_OURS = re.compile(r"agent-[0-9a-f]{64}\.[A-Za-z0-9._-]+")


def install(bundle: bytes, digest: str, token: str, name: str) -> bytes:
    """Compile what the client sent, leave it where the next call finds it, and return it.

    Where nothing can be written it runs from memory, this time and every time.
    """
    sources = zlib.decompressobj().decompress(bundle, _MOST)
    if sha256(sources).hex() != digest:
        sys.stderr.write("genvx: the agent was damaged on its way\n")
        sys.exit(1)
    data = compiled(json.loads(sources))
    for place in places():
        try:
            leave(place, name, data)
        except OSError:
            continue
        return data
    os.write(1, f"\nGENVX-MEMORY {token}\n".encode())
    return data


def compiled(sources: dict[str, Any]) -> bytes:
    """All modules as one file for this Python."""
    import marshal

    listed, modules, at = {}, [], 0
    for module, (package, source) in sorted(sources.items()):
        try:
            code = compile(source, f"<genvx agent>/{module}", "exec", dont_inherit=True)
        except SyntaxError:
            continue  # a library's module for newer Pythons; whoever imports it copes
        dumped = marshal.dumps(code)
        listed[module] = (bool(package), at, len(dumped), sha256(dumped))
        modules.append(dumped)
        at += len(dumped)
    head = marshal.dumps(listed)
    sizes = len(head).to_bytes(4, "big") + at.to_bytes(4, "big")
    return b"".join([magic(), sizes, sha256(head), head, *modules])


def leave(place: str, name: str, data: bytes) -> None:
    """Write the file by atomic rename. Raises OSError, and leaves nothing behind, if it cannot."""
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
                # Without it a power failure may leave a name without content.
                os.fsync(file.fileno())
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            discard(temporary, directory)
            raise
        clean(directory)
    finally:
        os.close(directory)


def clean(directory: int) -> None:
    """Delete agents that nobody has used for a month, and what was cut short."""
    now = time.time()  # noqa: TID251  # what the times of files are
    for name in os.listdir(directory):
        if _OURS.fullmatch(name):
            try:
                if now - os.stat(name, dir_fd=directory).st_mtime > _KEPT_SECONDS:
                    os.unlink(name, dir_fd=directory)
            except OSError:
                pass


def discard(name: str, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except OSError:
        pass
