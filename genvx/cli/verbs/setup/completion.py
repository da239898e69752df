"""genvx completion: print the script with which a shell completes verbs and options."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.parse.declaring import Argument
from genvx.errors import InvalidInput

_SHELLS = ("bash", "zsh", "fish")

Shell = Annotated[str, Argument(metavar="SHELL", help="bash, zsh or fish")]


def completion(shell: Shell) -> None:
    """Print the completion script of a shell.

    Example: genvx completion bash >> ~/.bashrc
    """
    if shell not in _SHELLS:
        raise InvalidInput(f"completion is for {', '.join(_SHELLS)}, not {shell!r}")
    from typer._completion_shared import get_completion_script

    print(get_completion_script(prog_name="genvx", complete_var="_GENVX_COMPLETE", shell=shell))
