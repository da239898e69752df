"""What the hosts are sent for a cluster: the command of a run, and its variables."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from genvx.engines.certificate import certificate
from genvx.engines.onhost.life import SECRET
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

ENGINES = {"ray": "Ray", "dask": "Dask"}
# The tag of all clusters.
TAG = "cluster"
_ONHOST = "genvx.engines.onhost"
_MODULES = ("life", "link", "place")
# The variable with the text of the program on a node, beside the one with its secrets.
CODE = "GENVX_CLUSTER_CODE"
# It is in the lists of runs and of processes, so it is short: the modules are in a variable.
_LOADER = (
    f"import os; exec(os.environ['{CODE}']); import sys; from {_ONHOST}.node import main; "
    "sys.exit(main(sys.argv[1:]))"
)
_REGISTER = """
import json, os, sys, types
def register(name, text):
    module = sys.modules[name] = types.ModuleType(name)
    module.__path__ = []
    exec(compile(text, name, "exec"), module.__dict__)
for each in ("genvx", "genvx.engines", "genvx.engines.onhost"):
    register(each, "")
for each in {modules!r}.items():
    register(*each)
del os.environ[{code!r}]
"""


@dataclass(frozen=True)
class Plan:
    """What one cluster is.

    engine: ray or dask. command: what runs on node 0 once all nodes are there. attended: it ends
    when nobody holds it any more. workers: node 0 has workers, and the number of nodes is that of
    the run. head: where node 0 of another run is, which this one joins. name: of a worker.
    token: what Ray's nodes, clients and page ask for.

    Raises:
        InvalidInput: there is no such engine.
    """

    engine: str
    command: tuple[str, ...] = ()
    attended: bool = True
    workers: bool = True
    head: tuple[str, int] | None = None
    name: str = ""
    rank: int | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    token: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    pair: tuple[str, str] = field(default=("", ""), repr=False)

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            known = " or ".join(ENGINES)
            raise InvalidInput(f"there is no engine {self.engine[:40]!r}: it is {known}")
        if self.engine == "dask" and not self.pair[0]:
            object.__setattr__(self, "pair", certificate())

    @property
    def title(self) -> str:
        """The engine as people call it."""
        return ENGINES[self.engine]

    @property
    def argv(self) -> list[str]:
        """The command of the run."""
        return ["python3", "-c", _LOADER, self.engine, "--", *self.command]

    @property
    def variables(self) -> dict[str, str]:
        """The variables of the run. They are in its record, which only its user can read."""
        asked: dict[str, Any] = {
            "id": self.id,
            "secret": self.secret,
            "token": self.token,
            "attended": self.attended,
            "workers": self.workers,
            "certificate": self.pair[0],
            "key": self.pair[1],
            "name": self.name,
        }
        if self.head is not None:
            asked["head"] = list(self.head)
        if self.rank is not None:
            asked["rank"] = self.rank
        return {SECRET: json.dumps(asked), CODE: _code("engines", "node")}


def variables_for_mpirun() -> dict[str, str]:
    """The variables of a job on several hosts that mpirun starts (core/launchers.py)."""
    asked = {"id": secrets.token_hex(4), "secret": secrets.token_hex(32)}
    return {SECRET: json.dumps(asked), CODE: _code("below", "mpirun", "mpi")}


def _code(*programs: str) -> str:
    directory = files(_ONHOST)
    modules = {
        f"{_ONHOST}.{name}": directory.joinpath(f"{name}.py").read_text()
        for name in (*_MODULES, *programs)
    }
    return _REGISTER.format(modules=modules, code=CODE)


def words_of(command: Sequence[str] | str) -> tuple[str, ...]:
    """The words of a command; a line is one for `sh -c`."""
    return ("sh", "-c", command) if isinstance(command, str) else tuple(command)
