"""A node of an allocation, which is reached through the login node, by steps of a job of Slurm."""

from __future__ import annotations

import base64
import functools
import os
import re
import time
from dataclasses import dataclass, field

from genvx.errors import InvalidInput

_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", re.ASCII)
_ONNODE = "../allocating/onnode.py"

# On a node. $1: the line, in base64. $2: the seconds that the job has left, or -. $3: the program
# of onnode.py, in base64, or -; the rest are its words. Without a Python that starts, the user's
# shell runs the line, as sshd would.
_STUB = "import binascii,sys;exec(binascii.a2b_base64(sys.argv[1]))"
ON_NODE = f"""\
PATH="$PATH:/usr/local/bin:/usr/bin:/bin"
line=$1 left=$2
shift 2
if [ "$left" != - ]; then
  GENVX_JOB_ENDS=$(($(date +%s) + left))
  export GENVX_JOB_ENDS
fi
if [ "$1" != - ]; then
  for p in python3 /usr/bin/python3; do
    command -v "$p" >/dev/null && exec "$p" -I -S -c "{_STUB}" "$@"
  done
fi
exec "${{SHELL:-/bin/sh}}" -c "$(printf %s "$line" | base64 -d)"
"""

# Finds a program where only a login shell has it on its PATH, as many clusters have Slurm's.
FINDING = (
    "command -v {} >/dev/null || "
    "PATH=$PATH:$(bash -lc 'echo; echo \"$PATH\"' </dev/null 2>/dev/null | tail -n 1)"
)

# On the login node. $1: of which job. $2: on which node. $3: whether in a terminal. $4: the line.
# $5: the program, or -. $6: ON_NODE. $7: the seconds that the job has left, or -.
#
# srun tells on its stderr when a command ends with a code that is not 0, which is no error to us.
# So its own messages and its exit code are collected in `said`, and what the command writes to its
# stderr goes through descriptor 3: a pipe, because srun opens it by name, which sockets refuse. In
# a terminal the command has that alone. A step called interactive is a shell to programs that look
# whether Slurm starts their processes, such as Lightning; in others they start none of their own.
_ON_LOGIN = (
    f"""\
{FINDING.format("srun")}
"""
    + """\
job=$1 node=$2 line=$4 program=$5 left=$7 there=$(printf %s "$6" | base64 -d)
command -v srun >/dev/null || { echo "genvx: there is no srun on the login node" >&2; exit 127; }
exec 4>&1 6>&2
step() {
  srun --jobid="$job" -J interactive --overlap --cpu-bind=none --mpi=none -N1 -n1 -w "$node" "$@" \\
    /bin/sh -c "$there" genvx-step "$line" "$left" "$program" relay "$job" "$line"
}
if [ "$3" = tty ]; then
  said=$(step --pty 2>&1 >&4; echo "$?")
else
  said=$({ { step -u -e /dev/fd/3 3>&1 >&4 2>&5; echo "$?" >&5; } | cat >&6; } 5>&1)
fi
code=${said##*
}
# When its job ends, srun may exit with 0, but never without a message. Where Slurm does not say how
# the job is, the command has ended by itself as far as we know.
if [ "$said" != 0 ]; then
  for pause in 1 1 1 2 5 10 0; do
    state=$(LC_ALL=C squeue -h -t all -j "$job" -o "%T (%r)" 2>&1) || case $state in
      *[Ii]"nvalid job id"*) state= ;;
      *) state=RUNNING ;;
    esac
    state=${state##*
}
    case $state in COMPLETING*) sleep "$pause" ;; *) break ;; esac
  done
  state=${state%" (None)"}
  case $state in RUNNING* | SUSPENDED* | STOPPED* | RESIZING* | SIGNALING*) ;; *)
    echo "genvx: job $job of Slurm, which had $node, has ended: ${state:-unknown}" >&2
    [ "$code" != 0 ] || code=143
    exit "$code"
  esac
fi
printf '%s\\n' "${said%"$code"}" | grep -v -e "Exited with exit code" -e "^ *$" >&2
exit "$code"
"""
)


@dataclass(frozen=True)
class Step:
    """Step is where the commands of a host run: a node, in the allocation of a job.

    ends: when the job ends, by the monotonic clock of this machine; None if that is not known.

    Raises:
        InvalidInput: it is no name of a node.
    """

    job: int
    node: str
    ends: float | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not _NODE.fullmatch(self.node):
            raise InvalidInput("Slurm names a node that is no name")

    def line(self, command: str, *, terminal: bool = False) -> str:
        """Return what the login node is asked, so that a line runs on the node as with sshd there.

        All texts are words of base64, which all login shells read alike. terminal: whether there is
        one; then what the line starts ends with it.
        """
        kind, program = ("tty", "-") if terminal else ("pipes", onnode())
        left = "-" if self.ends is None else str(max(0, int(self.ends - time.monotonic())))
        words = [str(self.job), self.node, kind, coded(command), program, coded(ON_NODE), left]
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
