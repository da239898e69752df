"""Verbs of Slurm, SkyPilot, Guild, Genv, Docker and nvidia-smi, and what genvx has in their place.

They are answers to words that are no verb of genvx; nothing here is ever executed.
"""

from __future__ import annotations

from genvx.cli.words.runsanswers import (
    AGAIN,
    BOARD,
    CALLED,
    DIFFERS,
    GONE,
    INSIDE,
    ONE_RUN,
    OUTPUT,
    PAST,
    PORTS,
    STOP,
    SUBMIT,
)

# {} stands for "genvx" or "genvx remote", as the user typed it.
_DEVICES = "{} devices shows the GPUs and who has them"
_ENVS = "{} envs shows who has what"
_SHELL = "{} activate --gpus N opens a shell that holds GPUs"
_RUN = "{} run --gpus N -- CMD runs a command that holds GPUs"
_WAITERS = "{} queue shows who waits, {} envs who has what"
_END = "{} release ENV gives the GPUs of an environment back; Ctrl-C ends {} run"
_SHOWS = "{} runs info RUN shows a run, {} status an environment, or a host"
_LOGIN = "genvx remote activate --gpus N opens a shell on a host that has them"
_HOSTS = "genvx remote devices shows the hosts; -H A,B or a hostfile names them"
_LIMITS = "{} policy shows what the administrator allows"
_CLUSTER = "genvx remote cluster ray (or dask) -N 2 -g 4 -- CMD starts one on leased GPUs"
_LAUNCH = "{} run -g 2 --launcher torchrun -- train.py starts a process for each GPU"
_CONTAINER = "{} run -g 1 --image IMAGE -- CMD runs a command in a container"
_SERVE = "{} serve -g 1 -- CMD starts a server on a port that it finds in $PORT"
_NO_DAEMON = "genvx has no server; nothing needs to be started on a shared machine"

VERBS = {
    # Slurm and similar systems
    "sinfo": "{} devices shows what is free, and where",
    "squeue": "{} runs shows your runs, {} queue who waits, {} envs who has what",
    "salloc": _SHELL,
    "srun": _RUN,
    "sbatch": SUBMIT,
    "scancel": STOP,
    "sattach": "{} watch RUN shows the output of a run; {} ssh RUN opens a shell in it",
    "requeue": AGAIN,
    "sacct": PAST,
    "sstat": "{} status shows an environment, or a host",
    "sreport": "{} usage shows who used GPUs for how long",
    "sprio": _WAITERS,
    "sshare": _LIMITS,
    "scontrol": "{} status shows an environment, or a host",
    "sacctmgr": _LIMITS,
    "qsub": SUBMIT,
    "qstat": _WAITERS,
    "qdel": STOP,
    "bsub": SUBMIT,
    "bjobs": _WAITERS,
    "bkill": STOP,
    "submit": SUBMIT,
    "jobs": PAST,
    "job": PAST,
    "nodes": _HOSTS,
    "node": _HOSTS,
    "hosts": _HOSTS,
    "partition": "genvx remote run --tag TAG takes hosts whose line in the hostfile has that tag",
    # SkyPilot
    "launch": _RUN,
    "exec": INSIDE,
    "cancel": STOP,
    "down": _END,
    "autostop": "{} run --time 2h -- CMD ends a command after a time",
    "show-gpus": _DEVICES,
    "gpus": _DEVICES,
    "gpu": _DEVICES,
    "log": OUTPUT,
    "tail": OUTPUT,
    # Guild
    "select": ONE_RUN,
    "diff": DIFFERS,
    "compare": DIFFERS,
    "cat": OUTPUT,
    "tag": CALLED,
    "mark": CALLED,
    "comment": CALLED,
    "delete": GONE,
    "restore": "{} runs restore RUN takes a run out of the trash",
    "purge": "{} runs purge RUN deletes a run in the trash for good",
    "tensorboard": BOARD,
    "history": PAST,
    "experiment": PAST,
    "trial": PAST,
    "restart": AGAIN,
    "rerun": AGAIN,
    "move": "{} runs move RUN moves a run that waits to another host",
    # Genv
    "find": "{} envs --name NAME --user USER finds environments",
    "query": "{} envs --fields id,name --csv prints what scripts read",
    "init": 'eval "$(genvx shell-init bash)" lets activate change your shell',
    "shell": "{} activate opens a shell; genvx shell-init lets it change yours",
    "home": "genvx config path prints the file that counts here",
    "refresh": "an activated shell sees changes at its next prompt; no command is needed",
    "unlock": "genvx lock -- CMD keeps the turn while a command runs, and no longer",
    "save": "genvx config set KEY VALUE saves at once",
    "load": "genvx activate loads the nearest .genvx.toml, unless --no-load",
    # Engines, launchers and servers
    "ray": _CLUSTER,
    "dask": _CLUSTER,
    "mpirun": _LAUNCH,
    "mpiexec": _LAUNCH,
    "torchrun": _LAUNCH,
    "accelerate": _LAUNCH,
    "deepspeed": _LAUNCH,
    "deploy": _SERVE,
    "vllm": _SERVE,
    "ollama": _SERVE,
    "hpo": "{} sweep runs a command with many different parameters",
    "tune": "{} sweep runs a command with many different parameters",
    # Docker, ps and similar commands
    "docker": _CONTAINER,
    "podman": _CONTAINER,
    "container": _CONTAINER,
    "port-forward": PORTS,
    "forward": PORTS,
    "ps": "{} runs shows runs, {} envs who has what",
    "kill": STOP,
    "stop": STOP,
    "rm": GONE,
    "rename": CALLED,
    "start": _NO_DAEMON,
    "daemon": _NO_DAEMON,
    "server": _NO_DAEMON,
    "dashboard": "{} web serves a page that shows the GPUs, the line and your runs, live",
    "ui": "{} web serves a page that shows the GPUs, the line and your runs, live",
    "ls": _DEVICES,
    "list": _DEVICES,
    "info": _SHOWS,
    "inspect": _SHOWS,
    "nvidia-smi": "genvx smi shows this environment's GPUs, {} devices all",
    "gpustat": _DEVICES,
    "nvtop": "{} top shows all GPUs in the whole terminal, live",
    "free": "{} devices shows what is free; {} release ENV gives GPUs back",
    "reserve": "{} acquire --gpus N --for 2h holds GPUs for a time",
    "allocate": _SHELL,
    "alloc": _SHELL,
    "lease": _ENVS,
    "leases": _ENVS,
    "login": _LOGIN,
    "wait": "{} watch RUN waits for the end of a run, {} run --wait for GPUs",
    "exit": "type exit, or genvx deactivate, in the shell that is activated",
    "quit": "type exit, or genvx deactivate, in the shell that is activated",
}
