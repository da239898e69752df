"""A wheel of pip that travels to hosts without one.

It is the one in the standard library of this Python (ensurepip), so nothing is downloaded here, and
it is as trusted as that.
"""

from __future__ import annotations

import glob
import os
import sysconfig
from typing import TYPE_CHECKING, Optional

from genvx.errors import GenvxError
from genvx.local.trees.assembled import Assembly
from genvx.local.trees.hashes import HashCache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.local.trees.assembled import AssembledTree


def pip_tree(environ: Mapping[str, str]) -> Optional[AssembledTree]:
    """A tree with a wheel of pip; None if this Python has none, or it cannot be read."""
    found = sorted(path for place in _places() for path in glob.glob(f"{place}/pip-*.whl"))
    if not found:
        return None
    assembly = Assembly()
    cache = HashCache(environ, os.fsencode(os.path.dirname(found[-1])))
    try:
        assembly.add_file(os.path.basename(found[-1]).encode(), found[-1], cache)
        cache.save()
        return assembly.finish("pip")
    except GenvxError:
        return None


def _places() -> list[str]:
    # Debian and Fedora keep the wheels of ensurepip in a directory of their own.
    own = sysconfig.get_config_var("WHEEL_PKG_DIR")
    library = os.path.join(sysconfig.get_path("stdlib"), "ensurepip", "_bundled")
    return [glob.escape(each) for each in (own, library) if each]
