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
    stand_ins["unittest.mock"].Mock = _mock  # type: ignore[attr-defined]
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in _NAMES:
            del sys.modules[name]


def _mock(*arguments: Any, **named: Any) -> Any:
    """A Mock of the real module, for a MockContext that somebody makes after all."""
    from unittest.mock import Mock

    return Mock(*arguments, **named)
