"""The agent in the form in which it is sent: the sources of the rooms that run on a host.

Host and client never disagree on versions: the file of an agent is named by the digest of what the
client itself would send, libraries included. There are two agents: the whole, and a first part that
answers questions (parts.py). Each is a file of its own, complete and checked by itself.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import threading
import zlib
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeVar

import genvx
from genvx.fleet.delivery import installer, loader
from genvx.fleet.delivery.parts import in_first_part
from genvx.fleet.delivery.stripped import program_of

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_P = ParamSpec("_P")
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


def _once(make: Callable[_P, _T]) -> Callable[_P, _T]:
    """Decorate a function: one thread makes its value once, and the others wait for it."""
    made: dict[object, _T] = {}

    @functools.wraps(make)
    def get(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        asked = (args, tuple(kwargs.items()))
        with _making:
            if asked not in made:
                made[asked] = make(*args, **kwargs)
            return made[asked]

    return get


class Pack(NamedTuple):
    """Pack is the agent: a zlib-compressed JSON object `{module: [is a package, source]}`.

    digest: the SHA-256 of that JSON, in hex.
    """

    digest: str
    bundle: bytes


@_once
def digest(*, first: bool = False) -> str:
    """Return the digest by which the agent's file on a host is named. first: of the first part."""
    return hashlib.sha256(_sources(first=first)).hexdigest()


@_once
def pack(*, first: bool = False) -> Pack:
    """Return the agent in the form in which it is sent. first: its first part."""
    return Pack(digest(first=first), zlib.compress(_sources(first=first)))


@_once
def _sources(*, first: bool) -> bytes:
    base = os.path.dirname(os.path.abspath(str(genvx.__file__)))
    files = {f"genvx.{name}": (False, f"{base}/{name}.py") for name in ("_version", "errors")}
    for room in _ROOMS:
        _gather(f"{base}/{room}", f"genvx.{room}", files)
    for library in _LIBRARIES:
        spec = importlib.util.find_spec(library)
        if spec is None or spec.origin is None:
            continue  # the agent does without: no lock file, or no devices; doctor reports it
        if spec.submodule_search_locations:
            _gather(os.path.dirname(spec.origin), library, files)
        else:
            files[library] = (False, spec.origin)
    modules = {
        name: (package, _read(path))
        for name, (package, path) in files.items()
        if not name.startswith(_FOR_PROGRAMS) and (not first or in_first_part(name))
    }
    # Not our own __init__.py: it offers the library, parts of which are not sent.
    modules["genvx"] = (True, "from genvx._version import __version__\n")
    if first:
        modules[loader.PARTIAL] = (False, "")
    else:
        # Not these of ours: they read files, and the agent has none.
        modules["genvx.shell.texts"] = (False, _texts(f"{base}/shell/code"))
        modules["genvx.local.runs.trialtexts"] = (False, _texts(f"{base}/local/runs/trialcode"))
    return json.dumps(modules, sort_keys=True).encode("ascii")


def _gather(directory: str, package: str, files: dict[str, tuple[bool, str]]) -> None:
    for entry in sorted(os.listdir(directory)):
        path, (name, extension) = f"{directory}/{entry}", os.path.splitext(entry)
        if extension == "" and os.path.exists(f"{path}/__init__.py"):
            _gather(path, f"{package}.{entry}", files)
        elif name == "__init__" and extension == ".py":
            files[package] = (True, path)
        elif extension == ".py":
            files[f"{package}.{name}"] = (False, path)


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
