"""Programs that start one process for each GPU: torchrun, accelerate, deepspeed, mpirun.

A script becomes `sh -c TEXT NAME SCRIPT...` on each host. The texts never change; what the user
wrote is a word of its own, so no shell reads it as code. Each takes the number of processes from
the devices that the command sees, and the other hosts from the variables of the job
(jobvariables.py), which a job on one host does not have.
"""

from __future__ import annotations

import os.path
import re

from genvx.core.prelude import plain
from genvx.core.text import printable
from genvx.errors import InvalidInput

# $p: the Python that the command finds. $n: a process for each device, one where there is none.
_COUNT = (
    'd=${CUDA_VISIBLE_DEVICES-}; n=1; while [ "${d#*,}" != "$d" ]; do n=$((n+1)); d=${d#*,}; done; '
)
_PYTHON_HERE = (
    "p=$(command -v python || command -v python3) || "
    '{ echo "genvx: no python here" >&2; exit 127; }; '
)
_BEGIN = (
    _PYTHON_HERE
    + _COUNT
    + '"$p" -c "import importlib.util as u; exit(not u.find_spec(\'PACKAGE\'))" || '
    '{ echo "genvx: --launcher NAME needs the Python package PACKAGE on this host: '
    'pip install PACKAGE" >&2; exit 127; }; '
)
_TORCHRUN = (
    'if [ "${NNODES:-1}" -gt 1 ]; then exec "$p" -m torch.distributed.run --nnodes="$NNODES" '
    '--node-rank="$NODE_RANK" --nproc-per-node="$n" --master-addr="$MASTER_ADDR" '
    '--master-port="$MASTER_PORT" "$@"; fi; '
    'exec "$p" -m torch.distributed.run --standalone --nproc-per-node="$n" "$@"'
)
_ACCELERATE = (
    'set -- --num_machines="${NNODES:-1}" --machine_rank="${NODE_RANK:-0}" '
    '--num_processes="$((${NNODES:-1}*n))" "$@"; '
    'if [ -n "${CUDA_VISIBLE_DEVICES-}" ]; then [ "$((${NNODES:-1}*n))" = 1 ] || '
    'set -- --multi_gpu "$@"; else set -- --cpu "$@"; fi; '
    'if [ "${NNODES:-1}" -gt 1 ]; then set -- --main_process_ip="$MASTER_ADDR" '
    '--main_process_port="$MASTER_PORT" "$@"; else set -- --main_process_port=0 "$@"; fi; '
    'exec "$p" -m accelerate.commands.launch "$@"'
)
# Not by its `deepspeed`, which takes GPUs by number, ignores CUDA_VISIBLE_DEVICES where it has a
# hostfile, and logs in to the other hosts. This is what it would start there. Of the others it
# needs the number of GPUs only; ours it puts into CUDA_VISIBLE_DEVICES as they are, UUIDs too.
_DEEPSPEED = (
    'w=$("$p" -c \'import base64,json,os; e=os.environ; '
    'own=[d for d in e.get("CUDA_VISIBLE_DEVICES","").split(",") if d] or ["0"]; '
    'n=int(e.get("NNODES","1")); r=int(e.get("NODE_RANK","0")); '
    'w={"node%d"%k: own if k==r else list(range(len(own))) for k in range(n)}; '
    "print(base64.urlsafe_b64encode(json.dumps(w).encode()).decode())') || exit; "
    'if [ -z "${MASTER_PORT-}" ]; then MASTER_PORT=$("$p" -c \'import socket; '
    's=socket.create_server(("127.0.0.1",0)); print(s.getsockname()[1])\'); fi; '
    'exec "$p" -m deepspeed.launcher.launch --world_info="$w" --node_rank="${NODE_RANK:-0}" '
    '--master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="$MASTER_PORT" "$@"'
)
# On several hosts a program of ours starts it on node 0 (engines/onhost/mpi.py). Its text comes in
# a variable, with the secret by which its parts know each other.
MPI = "genvx.engines.onhost.mpi"
MPI_CODE = "GENVX_CLUSTER_CODE"
_MPIRUN = (
    "command -v mpirun >/dev/null || "
    '{ echo "genvx: --launcher mpirun needs mpirun on this host: Open MPI, MPICH or Intel MPI" '
    ">&2; exit 127; }; "
    'if [ "${NNODES:-1}" -gt 1 ]; then ' + _PYTHON_HERE + 'exec "$p" -c "import os; '
    f"exec(os.environ['{MPI_CODE}']); import sys; from {MPI} import main; "
    "sys.exit(main(sys.argv[1:]))"
    '" "$@"; fi; ' + _COUNT + "case $(mpirun --version 2>&1) in "
    '*HYDRA*|*Intel*) exec mpirun -hosts "localhost:$n" "$@";; esac; '
    'exec mpirun --host "localhost:$n" "$@"'
)


def _text(name: str, package: str, rest: str) -> str:
    return _BEGIN.replace("NAME", name).replace("PACKAGE", package) + rest


_TEXTS = {
    "torchrun": _text("torchrun", "torch", _TORCHRUN),
    "accelerate": _text("accelerate", "accelerate", _ACCELERATE),
    "deepspeed": _text("deepspeed", "deepspeed", _DEEPSPEED),
    "mpirun": _MPIRUN,
}
LAUNCHERS: tuple[str, ...] = tuple(_TEXTS)
"""The names of all launchers."""
_PYTHON = re.compile(r"python[0-9.]*")
# mpirun starts a program, which may be Python.
_PROGRAMS = ("mpirun",)


def launched(name: str, argv: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command that starts a script with a launcher; mpirun starts a program instead.

    argv: options of the launcher if there are any, the script, and what the script is given.

    Raises:
        InvalidInput: there is no such launcher, or `argv` begins with a program.
    """
    if name not in _TEXTS:
        raise InvalidInput(
            f"--launcher is {', '.join(LAUNCHERS[:-1])} or {LAUNCHERS[-1]}, not "
            f"{printable(name, 60)!r}"
        )
    first = os.path.basename(argv[0])
    if name in _PROGRAMS:
        if first in ("mpirun", "mpiexec"):
            raise InvalidInput(
                f"--launcher {name} starts {first} itself: write its options and the program "
                "after --, as in: -- python train.py"
            )
    elif first in _TEXTS or _PYTHON.fullmatch(first):
        raise InvalidInput(
            f"--launcher {name} starts the script itself: write it after -- without {first}, as "
            "in: -- train.py"
        )
    return ("sh", "-c", _TEXTS[name], name, *argv)


def for_people(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command as people think of it: a launcher is its name, and no prelude comes
    before it.
    """
    words = plain(argv)
    if len(words) > 3 and words[:2] == ("sh", "-c") and words[2] == _TEXTS.get(words[3]):
        return words[3:]
    return words
