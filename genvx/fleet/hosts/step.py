"""A node of an allocation, which is reached through the login node, by steps of a job of Slurm."""

from __future__ import annotations

import base64
import functools
import os
import re
from dataclasses import dataclass

from genvx.errors import InvalidInput

_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", re.ASCII)
_ONNODE = "../allocating/onnode.py"

# On a node. $1: the line, in base64. $2: the program of onnode.py, in base64, or -; the rest are
# its words. Without a Python that starts, the user's shell runs the line, as sshd would.
_STUB = "import binascii,sys;exec(binascii.a2b_base64(sys.argv[1]))"
ON_NODE = f"""\
PATH="$PATH:/usr/local/bin:/usr/bin:/bin"
line=$1
shift
if [ "$1" != - ]; then
  for p in python3 /usr/bin/python3; do
    command -v "$p" >/dev/null && exec "$p" -I -S -c "{_STUB}" "$@"
  done
fi
exec "${{SHELL:-/bin/sh}}" -c "$(printf %s "$line" | base64 -d)"
"""

# On the login node. $1: of which job. $2: on which node. $3: whether in a terminal. $4: the line.
# $5: the program, or -. $6: ON_NODE.
#
# srun tells on its stderr when a command ends with a code that is not 0, which is no error to us.
# So its own messages and its exit code are collected in `said`, and what the command writes to its
# stderr goes through descriptor 3: a pipe, because srun opens it by name, which sockets refuse. In
# a terminal the command has that alone.
_ON_LOGIN = """\
job=$1 node=$2 line=$4 program=$5 there=$(printf %s "$6" | base64 -d)
command -v srun >/dev/null || { echo "genvx: there is no srun on the login node" >&2; exit 127; }
exec 4>&1 6>&2
step() {
  srun --jobid="$job" --overlap -N1 -n1 -w "$node" "$@" \\
    /bin/sh -c "$there" genvx-step "$line" "$program" relay "$job" "$line"
}
if [ "$3" = tty ]; then
  said=$(step --pty 2>&1 >&4; echo "$?")
else
  said=$({ { step -u -e /dev/fd/3 3>&1 >&4 2>&5; echo "$?" >&5; } | cat >&6; } 5>&1)
fi
code=${said##*
}
# When its job ends, srun may exit with 0, but never without a message.
if [ "$said" != 0 ]; then
  for pause in 1 1 1 2 5 10 0; do
    state=$(squeue -h -t all -j "$job" -o "%T" 2>/dev/null | head -n 1)
    [ "$state" = COMPLETING ] || break
    sleep "$pause"
  done
  if [ "$state" != RUNNING ]; then
    echo "genvx: job $job of Slurm, which had $node, has ended: ${state:-unknown}" >&2
    [ "$code" != 0 ] || code=143
    exit "$code"
  fi
fi
printf '%s\\n' "${said%"$code"}" | grep -v -e "Exited with exit code" -e "^ *$" >&2
exit "$code"
"""


@dataclass(frozen=True)
class Step:
    """Step is where the commands of a host run: a node, in the allocation of a job.

    Raises:
        InvalidInput: it is no name of a node.
    """

    job: int
    node: str

    def __post_init__(self) -> None:
        if not _NODE.fullmatch(self.node):
            raise InvalidInput("Slurm names a node that is no name")

    def line(self, command: str, *, terminal: bool = False) -> str:
        """Return what the login node is asked, so that a line runs on the node as with sshd there.

        All texts are words of base64, which all login shells read alike. terminal: whether there is
        one; then what the line starts ends with it.
        """
        kind, program = ("tty", "-") if terminal else ("pipes", onnode())
        words = [str(self.job), self.node, kind, coded(command), program, coded(ON_NODE)]
        start = f"'eval \"$(printf %s {coded(_ON_LOGIN)} | base64 -d)\"'"
        return f"exec /bin/sh -c {start} genvx-step {' '.join(words)}"


def coded(text: str) -> str:
    """Return a text as a word that no shell changes."""
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode("ascii")


@functools.cache
def onnode() -> str:
    """Return the program of onnode.py as a word."""
    # Imported here: few hosts are nodes of Slurm.
    from genvx.fleet.delivery.stripped import program_of

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), _ONNODE)
    with open(path, encoding="utf-8") as file:
        return coded(program_of(file.read()).decode("ascii") + "\nmain()\n")
