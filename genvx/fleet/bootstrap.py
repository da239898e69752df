"""The command line that starts the far end, as every login shell reads it alike.

sshd hands a command to the user's login shell: bash, zsh, fish, tcsh, dash. They agree on words and
on single quotes around text without quotes, backslashes and exclamation marks; nothing else is used
here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genvx.fleet.hostfile import HostSpec

# -c puts the current directory on the path, where anybody's json.py might lie: it is taken off
# first.
_START = "import sys; sys.path.pop(0); from genvx.agent.__main__ import main; main()"

_FIND = 'PATH="$PATH:$HOME/.local/bin:/usr/local/bin"; exec genvx-agent "$@"'


def agent_command(spec: HostSpec, word: str | None = None) -> str:
    """The command for sshd.

    `word`: a call in one word, where stdin is a terminal and cannot carry it.
    """
    argument = "" if word is None else f" {word}"
    if spec.python is not None:
        return f"exec '{spec.python}' -c '{_START}'{argument}"
    return f"exec sh -c '{_FIND}' genvx{argument}"


def missing_agent(spec: HostSpec) -> str:
    """What to do when the far end could not be started."""
    if spec.python is not None:
        return f"{spec.python} on the host cannot run genvx; pip install genvx there"
    return (
        "no genvx-agent on the PATH of a non-interactive shell there; pip install genvx on the "
        "host, or name the Python that has it with python= in the hostfile"
    )
