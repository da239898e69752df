"""What is said where a package is missing that genvx needs."""

from __future__ import annotations

import re
import shlex
import sys

# Packages that are not called as their module.
_PACKAGES = {"yaml": "pyyaml", "pynvml": "nvidia-ml-py", "nacl": "pynacl"}


def lacking(error: ModuleNotFoundError) -> str | None:
    """Return a line that says which package is missing and what installs it; None if the module is
    none of a package that genvx needs.
    """
    module = (error.name or "").partition(".")[0]
    if not module or module == "genvx" or module in sys.stdlib_module_names:
        return None
    package = _PACKAGES.get(module, module)
    python = shlex.quote(sys.executable or "python3")
    wanted = shlex.quote(_requirement(package))
    return f"this installation lacks the package {package}; {python} -m pip install {wanted}"


def _requirement(package: str) -> str:
    """Return the package with the versions that genvx needs, as pip takes it."""
    from importlib import metadata

    try:
        needed = metadata.requires("genvx") or ()
    except metadata.PackageNotFoundError:
        needed = ()
    for line in needed:
        name = re.match(r"[A-Za-z0-9._-]*", line)
        if name is not None and name[0].lower().replace("_", "-") == package:
            return line.partition(";")[0].replace(" ", "")
    return package
