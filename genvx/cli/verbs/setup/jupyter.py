"""genvx jupyter: install Jupyter kernels that hold GPUs while they run."""

from __future__ import annotations

import sys
from typing import Annotated

from genvx.cli.ask import options
from genvx.cli.ask.requested import visible_as_of
from genvx.cli.ask.wants import Device, MinMemory, Time, Visible, Wait
from genvx.cli.parse.declaring import FOR_EVER, Group, Option
from genvx.core.quantities.durations import parse_duration
from genvx.core.quantities.naming import naming
from genvx.core.requests.requirements import Requirements
from genvx.core.text import printable

jupyter = Group("Jupyter kernels that hold GPUs while they run.")

Kernel = Annotated[
    str, Option("-n", "--name", metavar="NAME", help="Name of the kernel for Jupyter.")
]
DisplayName = Annotated[
    str | None, Option("--display-name", metavar="WORDS", help="Name that notebooks show.")
]
Python = Annotated[
    str | None,
    Option(
        "--python", metavar="PATH", help="Python with ipykernel for the kernel (default: genvx's)."
    ),
]


@jupyter.command()
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
    from genvx.cli.entries import kernels

    kernels.require_name(name)
    wanted = Requirements.parse(gpus, gpu_memory, min_memory=min_memory, devices=device or ())
    for option, text in (("--wait", wait), ("--time", time)):
        if text is not None and text != FOR_EVER:
            with naming(option):
                parse_duration(text)
    if not wanted.gpus:
        gpus, wanted = "1", Requirements.parse("1")
    interpreter = kernels.python_of(python)
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
            # By the path of this Python: the PATH of a Jupyter server may not have genvx. -P: a
            # module beside the notebook must not stand in for one of ours.
            *(sys.executable, "-P", "-m", "genvx", "run", *words, f"--name=jupyter {name}", "--"),
            *(interpreter, "-m", "ipykernel_launcher", "-f", "{connection_file}"),
        ],
        "display_name": display_name or f"Python ({wanted})",
        "language": "python",
        # With interrupts by signal, the kernel would get each twice: from Jupyter, which signals
        # the process group, and from genvx run, which passes signals on.
        "interrupt_mode": "message",
    }
    directory = kernels.write(name, specification)
    print(f"Installed the kernel {name} ({wanted}) in {printable(str(directory))}")


@jupyter.command()
def uninstall(name: Kernel = "genvx") -> None:
    """Remove a kernel that genvx jupyter install made.

    Example: genvx jupyter uninstall --name two-gpus
    """
    from genvx.cli.entries import kernels

    kernels.require_name(name)
    kernels.remove(name)
    print(f"Removed the kernel {name}")
