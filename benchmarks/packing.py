"""How the agent is best packed: the CPU of one question, by how its modules are kept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import zlib
from collections.abc import Callable
from functools import partial

from benchmarks.form import sized, smallest
from benchmarks.measure import Sample, measured, side_by_side
from benchmarks.report import Table
from genvx.core.wire.call import Call
from genvx.fleet.delivery import pack

_START = "from genvx.agent.__main__ import main; main()"

# Runs under each Python: makes every packing of the modules in `tree`.
_MAKE = """
import compileall, importlib._bootstrap_external as external, json, marshal, os, sys, zipfile
os.chdir(sys.argv[1])
modules = json.load(open("modules.json"))
kept = {}
with zipfile.ZipFile("sources.zip", "w", zipfile.ZIP_DEFLATED) as sources, zipfile.ZipFile(
    "compiled.zip", "w", zipfile.ZIP_DEFLATED
) as compiled, zipfile.ZipFile("stored.zip", "w", zipfile.ZIP_STORED) as stored:
    for name, (package, source) in sorted(modules.items()):
        path = name.replace(".", "/") + ("/__init__" if package else "")
        try:
            code = compile(source, path, "exec", dont_inherit=True)
        except SyntaxError:
            continue
        os.makedirs(os.path.dirname("tree/" + path), exist_ok=True)
        open("tree/" + path + ".py", "w", encoding="utf-8").write(source)
        pyc = bytes(external._code_to_timestamp_pyc(code, 0, 0))
        sources.writestr(path + ".py", source)
        compiled.writestr(path + ".pyc", pyc)
        stored.writestr(path + ".pyc", pyc)
        kept[name] = (package, marshal.dumps(code))
open("modules", "wb").write(marshal.dumps(kept))
compileall.compile_dir("tree", quiet=2)
"""

_FROM_MEMORY = """
import sys, marshal
from _frozen_importlib import ModuleSpec
kept = marshal.loads(open({path!r}, "rb").read())
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in kept:
            return ModuleSpec(name, Finder, is_package=kept[name][0])
    @staticmethod
    def create_module(spec):
        return None
    @staticmethod
    def exec_module(module):
        exec(marshal.loads(kept[module.__name__][1]), module.__dict__)
sys.meta_path.insert(0, Finder)
"""


def _programs(directory: str) -> dict[str, str]:
    on_path = "import sys; sys.path.insert(0, {!r}); " + _START
    return {
        "zip of sources": on_path.format(f"{directory}/sources.zip"),
        "zip of .pyc files, deflated": on_path.format(f"{directory}/compiled.zip"),
        "zip of .pyc files, stored": on_path.format(f"{directory}/stored.zip"),
        "unpacked, with __pycache__": on_path.format(f"{directory}/tree"),
        "one file of marshalled modules": _FROM_MEMORY.format(path=f"{directory}/modules") + _START,
        "nothing: the bare interpreter": "pass",
    }


def interpreters() -> dict[str, str]:
    """One interpreter of each version at hand: {version: path}."""
    found: dict[str, str] = {}
    homes = os.path.expanduser("~/.pyenv/versions")
    paths = [os.path.realpath(sys.executable)]  # not the one of an environment, which starts slower
    paths += [shutil.which(f"python3.{minor}") or "" for minor in range(9, 15)]
    if os.path.isdir(homes):
        paths += [f"{homes}/{name}/bin/python3" for name in os.listdir(homes)]
    for path in sized(paths, paths[:1]):
        if not path or "shims" in path or not os.access(path, os.X_OK):
            continue
        version = subprocess.run(
            [path, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
        ).stdout.strip()
        if (version in ("3.9", "3.11", "3.13") or smallest()) and version not in found:
            found[version] = path
    return found


def run(rounds: int) -> Table:
    """Ratios to the same interpreter, started for nothing."""
    columns: list[str] = ["packing"]
    cells: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="genvx-bench-") as directory:
        modules = json.loads(zlib.decompress(pack.pack().bundle))
        for version, python in sorted(interpreters().items(), key=lambda item: len(item[0])):
            home = f"{directory}/{version}"
            os.makedirs(f"{home}/state")
            with open(f"{home}/modules.json", "w", encoding="ascii") as file:
                json.dump(modules, file)
            subprocess.run([python, "-I", "-c", textwrap.dedent(_MAKE), home], check=True)
            call = Call("snapshot", "a" * 32).to_bytes()
            environment = {
                "PATH": "/usr/bin:/bin",
                "HOME": home,
                "GENVX_STATE_DIR": f"{home}/state",
                "GENVX_SIMULATE": "2xA100-80GB",
            }
            contenders: dict[str, Callable[[], Sample]] = {
                name: partial(
                    measured, [python, "-I", "-S", "-c", program], stdin=call, env=environment
                )
                for name, program in _programs(home).items()
            }
            series = side_by_side(contenders, rounds, _answered)
            bare = series["nothing: the bare interpreter"].cpu
            columns.append(f"Python {version}")
            for name in contenders:
                cells.setdefault(name, []).append(f"{series[name].cpu / bare:.1f}")
    return Table(columns, [[name, *values] for name, values in cells.items()])


def _answered(name: str, sample: Sample) -> bool:
    return sample.code == 0 and (name.startswith("nothing") or b"GENVX-REPLY" in sample.output)
