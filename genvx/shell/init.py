"""The text of `genvx shell-init`: with it, `genvx activate` changes the shell that evaluates it."""

from __future__ import annotations

from genvx.shell.assemble import assemble

SHELLS = ("bash", "zsh", "fish", "tcsh", "sh")

# tcsh evaluates one line only, and has no functions: what it evaluates reads this file.
TCSH_FILE = "genvx.tcsh"


def init(shell: str, file: str = "") -> str:
    """What a shell evaluates in its start-up file. file: where `tcsh_code` is, for tcsh."""
    return assemble(f"{shell}/init.{shell}").replace("@FILE@", file)


def tcsh_code(file: str) -> str:
    """What tcsh reads whenever genvx is typed. file: the path that it will have."""
    return assemble("tcsh/genvx.tcsh").replace("@FILE@", file)
