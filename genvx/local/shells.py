"""The user's shell: which it is, and which start-up file it reads first."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


_FIRST_FILES = {
    "bash": "~/.bashrc",
    "zsh": "~/.zshenv",
    "fish": "~/.config/fish/config.fish",
    "tcsh": "~/.tcshrc",
    "csh": "~/.cshrc",
}


def user_shell(environ: Mapping[str, str]) -> str:
    """The path of the user's shell: $SHELL, else the one of the password database, else /bin/sh."""
    candidates = [environ.get("SHELL", "")]
    try:
        candidates.append(pwd.getpwuid(os.getuid()).pw_shell)
    except KeyError:
        pass
    for path in candidates:
        if os.path.isabs(path) and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return "/bin/sh"


def first_file() -> str:
    """The start-up file that the login shell reads whenever sshd has it run something, as people
    write its name; empty where it reads none.
    """
    try:
        shell = os.path.basename(pwd.getpwuid(os.getuid()).pw_shell)
    except KeyError:
        return ""
    return _FIRST_FILES.get(shell, "")
