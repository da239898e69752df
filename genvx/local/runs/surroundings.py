"""The variables of the shell or program that submitted a run.

A shell that enters the run gets them, too. So it finds the same programs as the run's command, such
as those of a virtual environment. They are in no file: the supervisor was started with them, and
the kernel shows them to its user. Those of a run that something prepares, such as a setup line, are
in a file of its directory: only a shell knows what that has made of them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.local.runs import lock
from genvx.local.runs.record import VARIABLES

if TYPE_CHECKING:
    from genvx.local.machine import Machine

# Variables of a login, a terminal or a desktop: a shell that enters has its own.
_OWN = frozenset(
    (
        *("HOME", "USER", "LOGNAME", "MAIL", "SHELL", "SHLVL", "PWD", "OLDPWD", "_"),
        *("LANG", "LANGUAGE", "KRB5CCNAME", "INVOCATION_ID", "JOURNAL_STREAM", "NOTIFY_SOCKET"),
        *("TERM", "TERMINFO", "TERMCAP", "COLORTERM", "COLUMNS", "LINES", "STY", "WINDOW"),
        *("WINDOWID", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DESKTOP_SESSION", "GPG_TTY"),
        *("PS1", "PS2", "PROMPT", "ENV", "ZDOTDIR"),
    )
)
_OWN_BEGINNINGS = (
    *("SSH_", "LC_", "XDG_", "DBUS_", "TERM_", "TMUX", "SUDO_", "VSCODE_", "GENVX_SHELL_"),
    *("BASH_FUNC_", "ITERM_", "KITTY_", "VTE_"),
)
_MOST_BYTES = 8 << 20


def prepared_variables(directory: str) -> dict[str, str]:
    """Return the variables with which the command of a run has started, as its Python and its setup
    line have made them, without those of its submitter's terminal and login; nothing where it has
    neither, or has not started yet.

    directory: that of the run.
    """
    return _variables_in(os.path.join(directory, VARIABLES))


def surroundings(host: Machine, run: str) -> dict[str, str]:
    """Return the variables of the supervisor of one's run, by id, without those of its submitter's
    terminal and login; nothing where no supervisor lives.
    """
    found = lock.supervision_of(host.state, host.state.uid, run)
    if found is None or not lock.is_supervisor(host.state, found):
        return {}
    return _variables_in(f"/proc/{found.pid}/environ")


def _variables_in(path: str) -> dict[str, str]:
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(path, flags), "rb") as file:
            words = file.read(_MOST_BYTES).split(b"\0")
    except OSError:
        return {}
    pairs = (os.fsdecode(word).partition("=") for word in words)
    return {
        name: value
        for name, equals, value in pairs
        if name and equals and name not in _OWN and not name.startswith(_OWN_BEGINNINGS)
    }
