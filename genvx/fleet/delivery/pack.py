"""The agent in the form in which it is sent: the sources of the rooms that run on a host.

Host and client never disagree on versions: the file of an agent is named by the digest of what the
client itself would send, libraries included.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import threading
import zlib
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import genvx
from genvx.fleet.delivery import installer, loader
from genvx.fleet.delivery.stripped import program_of

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_ROOMS = ("core", "shell", "local", "shown", "agent")
# What these have is used where a program is, never on the host of an agent.
_FOR_PROGRAMS = (
    "genvx.core.projects.requirements",
    "genvx.local.python.bundled",
    "genvx.local.python.needs",
    "genvx.local.python.travelling",
    "genvx.local.trees.assembled",
)
_LIBRARIES = ("filelock", "pynvml", "tomli")
# Held while something is made here. A fleet asks for it in one thread per host, and each would make
# the same again; besides, ast.parse of Python 3.11 fails in two threads at once.
_making = threading.RLock()


def _once(make: Callable[[], _T]) -> Callable[[], _T]:
    """Decorate a function: one thread makes its value once, and the others wait for it."""
    cached = functools.cache(make)

    @functools.wraps(make)
    def get() -> _T:
        with _making:
            return cached()

    return get


class Pack(NamedTuple):
    """Pack is the agent: a zlib-compressed JSON object `{module: [is a package, source]}`.

    digest: the SHA-256 of that JSON, in hex.
    """

    digest: str
    bundle: bytes


@_once
def digest() -> str:
    """Return the digest by which the agent's file on a host is named."""
    return hashlib.sha256(_sources()).hexdigest()


@_once
def pack() -> Pack:
    """Return the agent in the form in which it is sent."""
    return Pack(digest(), zlib.compress(_sources()))


@_once
def _sources() -> bytes:
    base = os.path.dirname(os.path.abspath(str(genvx.__file__)))
    modules: dict[str, tuple[bool, str]] = {
        f"genvx.{name}": (False, _read(f"{base}/{name}.py")) for name in ("_version", "errors")
    }
    # Not our own __init__.py: it offers the library, parts of which are not sent.
    modules["genvx"] = (True, "from genvx._version import __version__\n")
    for room in _ROOMS:
        _gather(f"{base}/{room}", f"genvx.{room}", modules)
    for name in [name for name in modules if name.startswith(_FOR_PROGRAMS)]:
        del modules[name]
    # Nor these: they read files, and the agent has none.
    modules["genvx.shell.texts"] = (False, _texts(f"{base}/shell/code"))
    modules["genvx.local.runs.trialtexts"] = (False, _texts(f"{base}/local/runs/trialcode"))
    for library in _LIBRARIES:
        spec = importlib.util.find_spec(library)
        if spec is None or spec.origin is None:
            continue  # the agent does without: no lock file, or no devices; doctor reports it
        if spec.submodule_search_locations:
            _gather(os.path.dirname(spec.origin), library, modules)
        else:
            modules[library] = (False, _read(spec.origin))
    return json.dumps(modules, sort_keys=True).encode("ascii")


def _gather(directory: str, package: str, modules: dict[str, tuple[bool, str]]) -> None:
    for entry in sorted(os.listdir(directory)):
        path, (name, extension) = f"{directory}/{entry}", os.path.splitext(entry)
        if os.path.isdir(path) and os.path.exists(f"{path}/__init__.py"):
            _gather(path, f"{package}.{entry}", modules)
        elif name == "__init__" and extension == ".py":
            modules[package] = (True, _read(path))
        elif extension == ".py":
            modules[f"{package}.{name}"] = (False, _read(path))


def _texts(directory: str) -> str:
    """A module that has the files of a directory, with the function of `genvx.shell.texts`."""
    texts = {
        os.path.relpath(os.path.join(place, name), directory): _read(os.path.join(place, name))
        for place, _, names in os.walk(directory)
        for name in names
        if not name.endswith(".pyc")
    }
    listed = "".join(f"    {name!r}: {texts[name]!r},\n" for name in sorted(texts))
    return f"_TEXTS = {{\n{listed}}}\n\n\ndef read(name):\n    return _TEXTS[name]\n"


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


@_once
def loader_text() -> bytes:
    """Return the program that every call carries."""
    return program_of(_read(str(loader.__file__))) + b"\nstart(*sys.argv[2:])\n"


@_once
def installer_text() -> bytes:
    """Return the program that is sent with the agent, to hosts that have none."""
    return program_of(_read(str(installer.__file__)))
