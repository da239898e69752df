"""Manifests that were read before, by their ETag: a list of unchanged runs reads none again."""

from __future__ import annotations

import contextlib
import json
import os
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_BYTES = 256 << 20


class Heads:
    """Manifests by the names of their runs, each with its ETag. place: what tells shelves apart."""

    def __init__(self, environ: Mapping[str, str], place: str) -> None:
        cache = environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(cache):
            cache = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".cache")
        self._directory = os.path.join(cache, "genvx", "shelves")
        name = blake2b(place.encode("utf-8", "replace"), digest_size=8).hexdigest()
        self._path = os.path.join(self._directory, f"{name}.json")

    def load(self) -> dict[str, tuple[str, bytes]]:
        """What was read before; nothing where that cannot be read."""
        with contextlib.suppress(OSError, ValueError, RecursionError, TypeError, AttributeError):
            with open(self._path, "rb") as file:
                plain = json.loads(file.read(_MOST_BYTES))
            return {
                str(name): (str(etag), str(head).encode("latin-1"))
                for name, (etag, head) in plain.items()
            }
        return {}

    def save(self, heads: Mapping[str, tuple[str, bytes]]) -> None:
        """Replace what was read before, as far as that is possible."""
        plain = {name: (etag, head.decode("latin-1")) for name, (etag, head) in heads.items()}
        temporary = f"{self._path}.{os.urandom(6).hex()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with contextlib.suppress(OSError):
            os.makedirs(self._directory, 0o700, exist_ok=True)
            with open(os.open(temporary, flags, 0o600), "w", encoding="ascii") as file:
                json.dump(plain, file)
            os.rename(temporary, self._path)
