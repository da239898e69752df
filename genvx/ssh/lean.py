"""Importing Fabric without what only tests of it use.

invoke, on which it stands, imports `unittest.mock` for its MockContext. That loads asyncio and the
system's OpenSSL, too: a seventh of the time to import Fabric, and 6 MiB.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = ("unittest", "unittest.mock")


@contextmanager
def without_mock() -> Iterator[None]:
    """Have a stand-in for `unittest.mock` while invoke is imported.

    Not where it is loaded already, nor where another thread might import it meanwhile.
    """
    if threading.active_count() > 1 or any(name in sys.modules for name in (*_NAMES, "invoke")):
        yield
        return
    stand_ins = {name: ModuleType(name) for name in _NAMES}
    stand_ins["unittest.mock"].__getattr__ = _later  # type: ignore[method-assign]
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in _NAMES:
            del sys.modules[name]


def _later(name: str) -> Any:
    """A class of the real module, for a MockContext that somebody makes after all."""
    if name.startswith("__"):
        raise AttributeError(name)

    def made(*arguments: Any, **named: Any) -> Any:
        from unittest import mock

        return getattr(mock, name)(*arguments, **named)

    return made
