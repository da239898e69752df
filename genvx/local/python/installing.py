"""Which commands make an environment. The first way that the host has is taken:

1. the host's own uv;
2. the interpreter's venv with the pip that comes with it (ensurepip);
3. its venv without pip, and a wheel of pip that has come from the client: Debian has neither pip
   nor ensurepip unless they are installed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from genvx.core.projects.python import CONSTRAINTS, REQUIREMENTS, WHEELS
from genvx.errors import StateError
from genvx.local.python.environments import NEEDS, TEMPORARY
from genvx.local.python.interpreter import uv_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.projects.python import Python
    from genvx.local.python.environments import Environment
    from genvx.local.python.interpreter import Interpreter

PIP = "pip"
# Of a virtual environment that is active, or of pip, and would lead out of the one that is made.
_MISLEADING = (
    *("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "CONDA_PREFIX"),
    *("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PIP_PYTHON"),
    *("UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_TARGET", "UV_PREFIX"),
)


class Installer(NamedTuple):
    """What makes environments here. name: for people. uv: its path. ships_pip: whether a wheel of
    pip has to come from the client.
    """

    name: str
    uv: str = ""
    ships_pip: bool = False


def installer(found: Interpreter, environ: Mapping[str, str]) -> Installer:
    """The first way that this host has.

    Raises:
        StateError: there is none; the message says what is missing.
    """
    uv = uv_of(environ)
    if uv:
        return Installer("uv", uv)
    if not found.venv:
        raise StateError(
            f"{found.path} cannot make environments: it has no module venv; install that "
            "(python3-venv) or uv there, or use --python none"
        )
    return Installer("pip", ships_pip=not found.ensurepip)


def require_pip(chosen: Installer, python: Python) -> None:
    """Check that what is missing on this host comes from the client.

    Raises:
        StateError: it does not.
    """
    if chosen.ships_pip and not python.pip:
        raise StateError(
            "the host has neither uv nor pip, and your machine has no pip to send, because its "
            "Python has no ensurepip; install python3-venv or uv on one of them, or use "
            "--python none"
        )


def steps(
    chosen: Installer, found: Interpreter, python: Python, environment: Environment
) -> list[list[str]]:
    """The commands that make an environment, which start in it and one after the other.

    Its directory is there, with what is to be installed in `NEEDS`, and the wheel of pip in `PIP`
    below that.
    """
    made = os.path.join(environment.path, "bin", "python")
    if chosen.uv:
        begin = [
            chosen.uv,
            "venv",
            "--quiet",
            "--no-project",
            "--allow-existing",
            "--python",
            found.path,
        ]
        install = [chosen.uv, "pip", "install", "--python", made]
        prerelease = ["--prerelease", "allow"]
        first = [[*begin, environment.path]]
    else:
        begin = [found.path, "-I", "-m", "venv"]
        # Isolated from variables and files of the user, where those would add other sources.
        pip = [made, "-m", "pip", *(["--isolated"] if python.offline else [])]
        install = [*pip, "--disable-pip-version-check", "--no-color", "--no-input", "install"]
        install += ["--progress-bar", "off"]
        prerelease = ["--pre"]
        first = [[*begin, environment.path]]
        if chosen.ships_pip:
            (wheel,) = os.listdir(os.path.join(environment.path, NEEDS, PIP))
            wheel = os.path.join(environment.path, NEEDS, PIP, wheel)
            # As ensurepip does it: pip installs itself out of its wheel.
            itself = [made, f"{wheel}/pip", "install", "--quiet", "--no-index", "--no-deps", wheel]
            first = [[*begin, "--without-pip", environment.path], itself]
    needs = os.path.join(environment.path, NEEDS)
    install += ["-r", REQUIREMENTS]
    if os.path.exists(os.path.join(needs, CONSTRAINTS)):
        install += ["-c", CONSTRAINTS]
    if python.prerelease:
        install += prerelease
    if python.offline:
        install += ["--no-index", "--find-links", WHEELS]
    return [*first, install]


def variables(environ: Mapping[str, str], environment: Environment) -> dict[str, str]:
    """The variables of these commands."""
    kept = {name: text for name, text in environ.items() if name not in _MISLEADING}
    return {
        **kept,
        "PYTHONUNBUFFERED": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_COLOR": "1",
        "NO_COLOR": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        # On the disk that has room for the environment, and it goes with that if this is cut off.
        "TMPDIR": os.path.join(environment.path, TEMPORARY),
    }
