"""A project for workers: read once, so that all of them have the same code, whatever changes."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import weakref
from typing import TYPE_CHECKING, Any

from genvx.core.projects.manifest import text_of
from genvx.errors import InvalidInput
from genvx.fleet.executing.frames import CONTENT, frame
from genvx.fleet.shipping.reading import place_in, read, until_unchanged

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 20


class Parcel:
    """Parcel is a project as it is sent to each host, on which each worker has a copy of its own.

    project: a directory here. place: where workers start in it. follow_links, large: whether what
    is behind its links that lead out, and much, is sent, too.

    Raises:
        InvalidInput: it cannot be sent. ProjectChanged: files of it are changed all the time.
    """

    def __init__(self, project: str, place: str, *, follow_links: bool, large: bool) -> None:
        until_unchanged(lambda: self._read(project, place, follow_links, large))

    def _read(self, project: str, place: str, follow_links: bool, large: bool) -> None:
        def refuse(what: str) -> None:
            if not large:
                raise InvalidInput(f"{what}; .genvxignore can leave files out, yes=True sends all")

        code = read(project, follow_links=follow_links, confirm=refuse)
        bodies = code.manifest.bodies()
        self.about: dict[str, Any] = {
            "entries": [
                [text_of(e.name), e.kind, e.mode, e.mtime_ns, e.size, text_of(e.target)]
                for e in code.manifest.entries
            ],
            "bodies": len(bodies),
            "place": place_in(code.manifest, place),
        }
        with tempfile.TemporaryFile(prefix="genvx-project-") as file:
            for body, (content, _) in zip(bodies, code.contents(range(len(bodies))), strict=True):
                places = json.dumps(body.places).encode("ascii")
                file.writelines(frame(CONTENT, [places], [memoryview(content)]))
            file.flush()
            # One for each executor: its workers on a host share what comes there.
            self.about |= {"token": secrets.token_hex(16), "size": file.tell()}
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)

    def pieces(self) -> Iterator[bytes]:
        """The contents of its files, as they are sent; threads may have them at the same time."""
        at = 0
        while piece := os.pread(self._file, _CHUNK, at):
            at += len(piece)
            yield piece
