"""The start-up files of ours that a shell reads, by the kind of the shell."""

from __future__ import annotations

import os

from genvx.shell.assemble import assemble
from genvx.shell.init import TCSH_FILE, tcsh_code

_FILES = {
    "bash": {"bashrc": "bash/bashrc"},
    "zsh": {
        "zsh/.zshenv": "zsh/zshenv",
        "zsh/.zprofile": "zsh/zprofile",
        "zsh/.zshrc": "zsh/zshrc",
    },
    "fish": {"config.fish": "fish/config.fish"},
    "tcsh": {"tcsh/.tcshrc": "tcsh/tcshrc"},
    "sh": {"shrc": "sh/shrc"},
}
_KINDS = {
    **{name: name for name in _FILES},
    **dict.fromkeys(("dash", "ash", "ksh", "mksh"), "sh"),
    "csh": "tcsh",
}


def files(program: str, directory: str) -> dict[str, str]:
    """The texts of the start-up files that a shell needs, by their paths.

    program: the shell's path. directory: where the files will be.
    """
    kind = kind_of(program)
    found = {f"{directory}/{path}": assemble(name) for path, name in _FILES.get(kind, {}).items()}
    if kind == "tcsh":
        again = f"{directory}/{TCSH_FILE}"
        found = {path: text.replace("@FILE@", again) for path, text in found.items()}
        found[again] = tcsh_code(again)
    return found


def kind_of(program: str) -> str:
    """Return which of our start-up files a shell can read, "" if none."""
    return _KINDS.get(os.path.basename(program), "")
