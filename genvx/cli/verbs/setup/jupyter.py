"""genvx jupyter: install Jupyter kernels that hold GPUs while they run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from genvx.cli.ask import options
from genvx.cli.ask.request import FOR_EVER, Device, MinMemory, Time, Visible, Wait, visible_as_of
from genvx.cli.commands import Verb
from genvx.core.durations import parse_duration
from genvx.core.requirements import Requirements
from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError

jupyter = options.group("Jupyter kernels that hold GPUs while they run.")

Kernel = Annotated[
    str, typer.Option("-n", "--name", metavar="NAME", help="Name of the kernel for Jupyter.")
]
DisplayName = Annotated[
    str | None, typer.Option("--display-name", metavar="WORDS", help="Name that notebooks show.")
]
Python = Annotated[
    str | None,
    typer.Option(
        "--python", metavar="PATH", help="Python with ipykernel for the kernel (default: genvx's)."
    ),
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@jupyter.command(cls=Verb)
def install(
    gpus: options.Gpus = None,
    gpu_memory: options.GpuMemory = None,
    min_memory: MinMemory = None,
    device: Device = None,
    wait: Wait = None,
    time: Time = None,
    visible_as: Visible = None,
    name: Kernel = "genvx",
    display_name: DisplayName = None,
    python: Python = None,
) -> None:
    """Install a kernel that takes GPUs when it starts and gives them back when it ends.

    Notebooks choose it by name, like any kernel. By default it takes one GPU.

    Example: genvx jupyter install --gpus 2 --name two-gpus
    """
    _require(name)
    wanted = Requirements.parse(gpus, gpu_memory, min_memory=min_memory, devices=device or ())
    for text in (wait, time):
        if text is not None and text != FOR_EVER:
            parse_duration(text)
    if not wanted.gpus:
        gpus, wanted = "1", Requirements.parse("1")
    interpreter = _kernels_python(python)
    given = {
        "--gpus": gpus,
        "--gpu-memory": gpu_memory,
        "--min-memory": min_memory,
        "--device": None if device is None else ",".join(device),
        "--time": time,
        "--visible-as": None if visible_as is None else visible_as_of(visible_as).value,
    }
    words = [f"{option}={value}" for option, value in given.items() if value is not None]
    if wait is not None:
        words.append("--wait" if wait == FOR_EVER else f"--wait={wait}")
    specification = {
        "argv": [
            # By the path of this Python: the PATH of a Jupyter server may not have genvx.
            *(sys.executable, "-m", "genvx", "run", *words, f"--name=jupyter {name}", "--"),
            *(interpreter, "-m", "ipykernel_launcher", "-f", "{connection_file}"),
        ],
        "display_name": display_name or f"Python ({wanted})",
        "language": "python",
        # With interrupts by signal, the kernel would get each twice: from Jupyter, which signals
        # the process group, and from genvx run, which passes signals on.
        "interrupt_mode": "message",
    }
    directory = _kernels() / name
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "kernel.json").write_text(json.dumps(specification, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise StateError(f"cannot write {directory}: {error.strerror}") from None
    print(f"Installed the kernel {name} ({wanted}) in {printable(str(directory))}")


@jupyter.command(cls=Verb)
def uninstall(name: Kernel = "genvx") -> None:
    """Remove a kernel that genvx jupyter install made.

    Example: genvx jupyter uninstall --name two-gpus
    """
    _require(name)
    directory = _kernels() / name
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
    print(f"Removed the kernel {name}")


def _require(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise InvalidInput(f"not the name of a kernel: {printable(name, 60)!r}")


def _kernels() -> Path:
    """Return the directory where Jupyter looks for the kernels of a user."""
    data = os.environ.get("JUPYTER_DATA_DIR")
    if not data:
        base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
        data = os.path.join(base, "jupyter")
    return Path(data) / "kernels"


def _kernels_python(given: str | None) -> str:
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
