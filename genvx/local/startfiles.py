"""The start-up files of activated shells, written where they are read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.local.shells import user_shell
from genvx.local.state.saying import state_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Callable

    from genvx.local.state.directory import StateDirectory
    from genvx.shell.prepare import Shell


def prepared(
    state: StateDirectory,
    environ: Mapping[str, str],
    *,
    answer: Sequence[str],
    login: bool,
    path: str = "",
) -> Shell:
    """Write the start-up files of the user's shell; return how to start it (`shell.prepare`).

    Raises:
        StateError: the start-up files cannot be written.
    """
    from genvx.shell.prepare import prepare
    from genvx.shell.startup import files

    program = user_shell(environ)
    directory = _written(state, lambda directory: files(program, directory))
    return prepare(program, directory, environ, answer=answer, login=login, path=path)


def write_tcsh_file(state: StateDirectory) -> str:
    """Write the file that tcsh reads whenever genvx is typed; return its path.

    Raises:
        StateError: it cannot be written.
    """
    from genvx.shell.init import TCSH_FILE, tcsh_code

    def files(directory: str) -> dict[str, str]:
        path = os.path.join(directory, TCSH_FILE)
        return {path: tcsh_code(path)}

    return os.path.join(_written(state, files), TCSH_FILE)


def _written(state: StateDirectory, files: Callable[[str], Mapping[str, str]]) -> str:
    """Write files for shells below the user's own directory unless they are there; return that
    directory's path.

    files: given that path, their texts by their paths.

    Raises:
        StateError: they cannot be written.
    """
    try:
        with state.own() as opened:
            directory = os.path.join(state.path_of(opened), "shell")
            for path, text in files(directory).items():
                _write(path, text)
            return directory
    except OSError as error:
        raise state_error(error, "write the start-up files of the shell") from None


def _write(path: str, content: str) -> None:
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == content:
                return
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = f"{path}.{os.urandom(6).hex()}"
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass
        raise
