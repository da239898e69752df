"""How to start a user's shell so that it is activated: with its own start-up files, and ours last.

Ours are the same for everybody and every environment: what differs comes in variables, which are
only ever assigned, never evaluated.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.core.value import value
from genvx.shell.answer import for_tcsh
from genvx.shell.startup import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


FIRST = "GENVX_SHELL_FIRST"
"""The variable that says what comes first on the PATH of a shell, whatever its start-up files make
of that.
"""


@value
class Shell:
    """How to start an activated shell.

    keeps_lease: False for shells that close the descriptors they inherit; they need a parent that
    holds it.
    """

    program: str
    argv: list[str]
    variables: Mapping[str, str]
    keeps_lease: bool = True


def prepare(
    program: str,
    directory: str,
    environ: Mapping[str, str],
    *,
    answer: Sequence[str],
    login: bool,
    path: str = "",
) -> Shell:
    """Say how to start a shell so that it is activated.

    program: its path. directory: where `files` are. answer: what the shell assigns, the lines of
    `shell/answer.py`. login: as the first shell of a session, which it is after ssh. path: a
    directory that the shell is to have at the end of its PATH, whatever its start-up files make of
    that.
    """
    name = os.path.basename(program)
    kind = kind_of(program)
    variables: dict[str, str] = {
        "GENVX_SHELL_ANSWER": "\n".join(answer),
        "GENVX_SHELL_FILES": directory,
    }
    if path:
        variables["GENVX_SHELL_PATH"] = path
    flags = ["-l"] if login else []
    if kind == "bash":
        if login:
            variables["GENVX_SHELL_LOGIN"] = "1"
        return Shell(program, [name, "--rcfile", f"{directory}/bashrc", "-i"], variables)
    if kind == "zsh":
        variables["ZDOTDIR"] = f"{directory}/zsh"
        if "ZDOTDIR" in environ:
            variables["GENVX_USER_ZDOTDIR"] = environ["ZDOTDIR"]
        return Shell(program, [name, *flags, "-i"], variables)
    if kind == "fish":
        read = "source $GENVX_SHELL_FILES/config.fish"
        return Shell(program, [name, *flags, "-i", "-C", read], variables)
    if kind == "tcsh":
        variables["GENVX_USER_HOME"] = environ.get("HOME", "/")
        variables["HOME"] = f"{directory}/tcsh"
        variables["GENVX_SHELL_ANSWER"] = "\n".join(for_tcsh(answer))
        return Shell(program, [name, *flags], variables, keeps_lease=False)
    if kind == "sh":
        variables["GENVX_USER_ENV"] = environ.get("ENV", "")
        variables["ENV"] = f"{directory}/shrc"
        return Shell(program, [name, *flags, "-i"], variables)
    return Shell(program, [name], with_path(environ, path), keeps_lease=False)


def with_path(environ: Mapping[str, str], path: str) -> dict[str, str]:
    """PATH with a directory at its end; nothing where there is none to add."""
    return {"PATH": f"{environ.get('PATH', os.defpath)}:{path}"} if path else {}
