"""The kernels of Jupyter that genvx has installed, and the Python of each."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def require_name(name: str) -> None:
    """Check the name of a kernel; raise InvalidInput if it is none."""
    if _NAME.fullmatch(name) is None:
        raise InvalidInput(f"not the name of a kernel: {printable(name, 60)!r}")


def write(name: str, specification: dict[str, Any]) -> Path:
    """Write the file of a kernel; return its directory.

    Raises:
        StateError: it cannot be written.
    """
    directory = _directory() / name
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "kernel.json").write_text(json.dumps(specification, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise StateError(f"cannot write {directory}: {error.strerror}") from None
    return directory


def remove(name: str) -> None:
    """Remove a kernel.

    Raises:
        InvalidInput: it is none of ours. StateError: it cannot be removed.
    """
    directory = _directory() / name
    try:
        argv = json.loads((directory / "kernel.json").read_text("utf-8"))["argv"]
    except (OSError, ValueError, KeyError, TypeError):
        argv = []
    # A kernel of another program may have this name, and rmtree would delete it.
    if "genvx" not in argv:
        raise InvalidInput(f"{directory} is not a kernel that genvx installed")
    try:
        shutil.rmtree(directory)
    except OSError as error:
        raise StateError(f"cannot remove {directory}: {error.strerror}") from None


def _directory() -> Path:
    """Return the directory where Jupyter looks for the kernels of a user."""
    data = os.environ.get("JUPYTER_DATA_DIR")
    if not data:
        base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
        data = os.path.join(base, "jupyter")
    return Path(data) / "kernels"


def python_of(given: str | None) -> str:
    """Return the Python of the kernel.

    Raises:
        InvalidInput: there is none, or it has no ipykernel.
    """
    path = shutil.which(given or sys.executable)
    if path is None:
        raise InvalidInput(f"no Python at {printable(given or '', 100)!r}")
    # Only that Python itself knows whether it can import it.
    answer = subprocess.run([path, "-c", "import ipykernel"], capture_output=True)
    if answer.returncode:
        raise InvalidInput(f"{path} has no ipykernel; {path} -m pip install ipykernel")
    # Links are not resolved: the one in a virtual environment is what gives Python its packages.
    return os.path.abspath(path)
