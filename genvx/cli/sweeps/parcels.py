"""What travels to a host that is to run a sweep: genvx itself, the sweep, and what its trials need.

start.py                     begins there
genvx/                       this genvx, so that both ends are of one version
hosts.json                   the hosts of the sweep
data/genvx/sweeps/<id>/      the sweep, as it is kept there
trees/<number>/              what its trials need: their project, and what their Python is made of
"""

from __future__ import annotations

import os
import re
import tempfile
from typing import TYPE_CHECKING, Any

import genvx
from genvx.core.value import replace
from genvx.core.wire.plain import dumps
from genvx.errors import InvalidInput
from genvx.fleet.shipping.reading import python_of, read
from genvx.local.trees.assembled import Assembly
from genvx.local.trees.hashes import HashCache
from genvx.sweeps import carried
from genvx.sweeps.spec import SWEEP, Hosts
from genvx.sweeps.tuners.names import needed_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from genvx.core.projects.python import Python
    from genvx.fleet.shipping.shipment import Shipment
    from genvx.local.trees.assembled import AssembledTree
    from genvx.sweeps.spec import SweepSpec
    from genvx.sweeps.store import SweepDirectory

TREES, HOSTS, START = "trees", "hosts.json", "start.py"
DATA = "data"
_LEAST = (3, 11)
LEAST = ".".join(map(str, _LEAST))
# It must be read by every Python 3, to say that one is too old.
_START = f'''\
"""Runs a sweep of genvx on this host, with the files that are beside this one."""
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
if sys.version_info < {_LEAST}:
    sys.exit(
        "genvx: %s is Python %d.%d; to run a sweep, a host needs {LEAST} or newer"
        % ((sys.executable,) + tuple(sys.version_info[:2]))
    )
os.chdir(here)
os.environ["XDG_DATA_HOME"] = os.path.join(here, "{DATA}")
from genvx.cli.main import main

main()
'''


def parcel_of(
    directory: SweepDirectory, hosts: Sequence[carried.CarriedHost], trees: Sequence[Shipment]
) -> AssembledTree:
    """Put together what travels. trees: what the trials need.

    Raises:
        InvalidInput: a file cannot be read. ProjectChanged: one was changed meanwhile.
    """
    spec = directory.spec()
    assembly = Assembly()
    assembly.add_text(START.encode(), _START.encode())
    assembly.add_text(HOSTS.encode(), carried.written(hosts))
    there = replace(
        spec,
        hosts=Hosts(True, carried=HOSTS, accept_new_host_keys=spec.hosts.accept_new_host_keys),
        directory=None,
        needs=None,
    )
    place = f"{DATA}/genvx/sweeps/{spec.id}"
    assembly.add_text(f"{place}/spec.json".encode(), dumps(SWEEP.write(there)))
    past = b"".join(dumps(event) + b"\n" for event in directory.events())
    if past:
        assembly.add_text(f"{place}/journal".encode(), past)
    _add_genvx(assembly)
    for number, tree in enumerate(trees):
        local: Any = tree  # whatever is sent from here was read here
        assembly.add_tree(f"{TREES}/{number}".encode(), local)
    return assembly.finish(f"sweep-{spec.id}")


def _add_genvx(assembly: Assembly) -> None:
    root = os.path.dirname(os.path.abspath(str(genvx.__file__)))
    cache = HashCache(os.environ, os.fsencode(root))
    for path in _sources(root):
        name = os.path.join("genvx", os.path.relpath(path, root))
        assembly.add_file(os.fsencode(name), path, cache)
    cache.save()


def _sources(root: str) -> Iterator[str]:
    for place, directories, names in os.walk(root):
        directories[:] = sorted(each for each in directories if each != "__pycache__")
        for name in sorted(names):
            if not name.endswith((".pyc", ".pyo")):
                yield os.path.join(place, name)


def trees_in(directory: str) -> list[Shipment]:
    """Read what came with a sweep for its trials, in their order.

    Raises:
        InvalidInput: it cannot be read.
    """
    root = os.path.join(directory, TREES)
    if not os.path.isdir(root):
        return []
    return [
        read(os.path.join(root, name), everything=True)
        for name in sorted(os.listdir(root), key=int)
    ]


def python_for(
    spec: SweepSpec, asked: str | None, wheels: str | None
) -> tuple[Python | None, list[Shipment]]:
    """Return the Python that runs the sweep on its host, and what has to be there for it.

    asked: as after --on-python; None makes an environment for what genvx needs. wheels: a directory
    here with all packages for that.

    Raises:
        InvalidInput: these make no sense, or nobody knows what genvx needs.
    """
    if asked not in (None, "auto"):
        if wheels is not None:
            raise InvalidInput("--on-wheels goes with --on-python auto")
        return python_of(None, asked)
    with tempfile.TemporaryDirectory(prefix="genvx-") as place:
        with open(os.path.join(place, "requirements.txt"), "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in _needed(needed_by(spec.tuner)))
        return python_of(read(place, everything=True), "auto", wheels=wheels)


def _needed(more: Sequence[str]) -> list[str]:
    """Return what genvx needs, as lines for pip. more: packages besides, some of its extras."""
    from importlib import metadata

    try:
        lines = metadata.requires("genvx") or []
    except metadata.PackageNotFoundError:
        raise InvalidInput(
            "this genvx was not installed by pip, so what it needs is not known; --on-python PATH "
            "names a Python of the host that has it"
        ) from None
    found = [each for each in lines if "extra ==" not in each]
    for name in more:
        ours = (each.partition(";")[0].strip() for each in lines if _package(each) == name)
        found.append(next(ours, name))
    return found


def _package(line: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]*", line)
    return match[0].lower() if match is not None else ""
