"""What this machine does where a program copies files: it finds them, and takes them.

`genvx.fleet` is handed its hosts and imports nothing that acts on this machine. What does that here
is loaded by its name, when files are copied.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from genvx.core.projects.plan import Known
    from genvx.fleet.shipping.fetching import Target
    from genvx.fleet.shipping.shipment import Shipment

    class Here(Protocol):
        """The functions of genvx.api.copying."""

        @staticmethod
        def gather(directory: str, *, everything: bool, follow_links: bool) -> Shipment: ...

        @staticmethod
        def landing(
            directory: str, *, bare: bool, delete: bool
        ) -> AbstractContextManager[Target]: ...

        @staticmethod
        def extra(
            target: Target, known: Known, only: Sequence[str], *, bare: bool
        ) -> list[bytes]: ...


def here() -> Here:
    """Return what finds and takes files on this machine."""
    return cast("Here", importlib.import_module("genvx.api.copying"))
