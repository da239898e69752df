"""genvx shell-init: what makes `genvx activate` change the shell that we are in."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.parse.declaring import Argument
from genvx.errors import InvalidInput

Shell = Annotated[str, Argument(metavar="SHELL", help="bash, zsh, fish, tcsh or sh")]


def shell_init(shell: Shell) -> None:
    """Print what makes activate change your shell.

    Instead of opening another one; deactivate restores it then.

    bash, zsh, sh: eval "$(genvx shell-init bash)"; fish: genvx shell-init fish | source; tcsh: eval
    "`genvx shell-init tcsh`"; once, in its start-up file.

    Example: echo 'eval "$(genvx shell-init bash)"' >> ~/.bashrc
    """
    from genvx.shell.init import SHELLS, init

    if shell not in SHELLS:
        raise InvalidInput(f"shell-init is for {', '.join(SHELLS)}, not {shell!r}")
    if shell == "tcsh":
        from genvx.local.host import LocalHost

        print(init(shell, LocalHost().write_tcsh_file()), end="")
    else:
        print(init(shell), end="")
