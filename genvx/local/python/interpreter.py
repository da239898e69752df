"""The interpreter of which the environments of this host are made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError
from genvx.local.delivered import is_installed

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = 20.0
# Without site-packages, which say nothing here and cost time.
_PROBE = """
import importlib.util as u, json, sys
print(json.dumps([
    "%d.%d.%d" % sys.version_info[:3], sys.implementation.cache_tag,
    getattr(sys, "_base_executable", "") or sys.executable,
    u.find_spec("venv") is not None, u.find_spec("ensurepip") is not None]))
"""
# Where uv puts itself. A login that is not interactive has these seldom on its PATH.
_UV_PLACES = ("~/.local/bin", "~/.cargo/bin")


class Interpreter(NamedTuple):
    """A Python. path: of the interpreter itself, not of a link or a virtual environment. tag: its
    version and kind, as it names compiled files. venv, ensurepip: whether it has these modules.
    """

    path: str
    version: str
    tag: str
    venv: bool
    ensurepip: bool

    @property
    def key(self) -> tuple[str, ...]:
        """What must be the same for an environment to be usable: also the system's C library."""
        try:
            libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
        except (ValueError, OSError):
            libc = "another"
        return (self.path, self.tag, os.uname().machine, libc)


def interpreter(environ: Mapping[str, str]) -> Interpreter:
    """The interpreter of this host: where genvx is installed the `python3` of its user, elsewhere
    the one that runs us, which the hostfile may name.

    Raises:
        StateError: it does not say what it is.
    """
    own = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
    path = own
    if is_installed():
        path = shutil.which("python3", path=environ.get("PATH")) or own
    if os.path.realpath(path) == own:
        # Ourselves: nothing has to be started, which would be most of what a run waits for here.
        version = "{}.{}.{}".format(*sys.version_info[:3])
        tag = sys.implementation.cache_tag
        has = [find_spec(name) is not None for name in ("venv", "ensurepip")]
        return Interpreter(own, version, tag, *has)
    return _asked(path)


def _asked(path: str) -> Interpreter:
    try:
        done = subprocess.run(
            [path, "-I", "-S", "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        found: Any = json.loads(done.stdout)
        version, tag, base, venv, ensurepip = found
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        why = printable(str(error), 200)
        raise StateError(f"cannot use {printable(path, 300)} for an environment: {why}") from None
    return Interpreter(os.path.realpath(base), version, tag, bool(venv), bool(ensurepip))


def uv_of(environ: Mapping[str, str]) -> str:
    """The path of this host's own uv; empty if there is none."""
    home = environ.get("HOME") or os.path.expanduser("~")
    places = [environ.get("PATH", os.defpath), *(home + each[1:] for each in _UV_PLACES)]
    return shutil.which("uv", path=os.pathsep.join(places)) or ""


def bin_of(where: str, home: str) -> tuple[str, str]:
    """The directory that comes first on the PATH for a Python that is here; and the interpreter, if
    `python` and `python3` there are not that one.

    where: an interpreter, the directory that it is in, or a virtual environment; counted from the
    home.

    Raises:
        InvalidInput: there is no Python.
    """
    path = os.path.normpath(os.path.join(home, where[2:] if where.startswith("~/") else where))
    for directory in (path, os.path.join(path, "bin")):
        for name in ("python3", "python"):
            found = os.path.join(directory, name)
            if os.path.isfile(found) and os.access(found, os.X_OK):
                return directory, ""
    if os.path.isfile(path) and os.access(path, os.X_OK):
        directory = os.path.dirname(path)
        for name in ("python", "python3"):
            try:
                if not os.path.samefile(os.path.join(directory, name), path):
                    return directory, path
            except OSError:
                return directory, path
        return directory, ""
    raise InvalidInput(f"--python: no Python in {printable(path, 300)}")
