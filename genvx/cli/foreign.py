"""Words of Slurm, SkyPilot, Genv, Docker and nvidia-smi, and what they are called here.

They are answers to what is no verb and no option of genvx: nothing here is ever run.
"""

from __future__ import annotations

from typing import Any

from genvx.cli import misplaced
from genvx.cli.commands import scan
from genvx.core.text import printable

# {} is genvx, or genvx remote where that was typed.
_DEVICES = "{} devices shows the GPUs and who has them"
_ENVS = "{} envs shows who has what"
_SHELL = "{} activate --gpus N opens a shell that holds GPUs"
_RUN = "{} run --gpus N -- CMD runs a command that holds GPUs"
_BATCH = "{} run --gpus N --wait -- CMD waits for GPUs and runs a command"
_WAITERS = "{} queue shows who waits, {} envs who has what"
_END = "{} release ENV gives the GPUs of an environment back; Ctrl-C ends {} run"
_OUTPUT = "{} run prints a command's output where it was started; nothing is kept"
_LOGIN = "genvx remote activate --gpus N opens a shell on a host that has them"
_HOSTS = "genvx remote devices shows the hosts; -H A,B or a hostfile names them"
_LIMITS = "{} policy shows what the administrator allows"
_NO_DAEMON = "genvx has no server; on a machine whose GPUs you share nothing needs to be started"

VERBS = {
    # Slurm, and what is like it
    "sinfo": "{} devices shows what is free, and where",
    "squeue": _WAITERS,
    "salloc": _SHELL,
    "srun": _RUN,
    "sbatch": f"{_BATCH}; nohup or tmux keep it",
    "scancel": _END,
    "sattach": "{} activate --id ENV joins an environment of yours",
    "sacct": _ENVS,
    "sstat": "{} status shows an environment, or a host",
    "sprio": _WAITERS,
    "sshare": _LIMITS,
    "scontrol": "{} status shows an environment, or a host",
    "sacctmgr": _LIMITS,
    "qsub": _BATCH,
    "qstat": _WAITERS,
    "qdel": _END,
    "bsub": _BATCH,
    "bjobs": _WAITERS,
    "bkill": _END,
    "submit": _BATCH,
    "jobs": _ENVS,
    "job": _ENVS,
    "nodes": _HOSTS,
    "node": _HOSTS,
    "hosts": _HOSTS,
    "partition": "genvx remote run --tag TAG takes hosts whose line in the hostfile has that tag",
    # SkyPilot
    "launch": _RUN,
    "exec": _RUN,
    "cancel": _END,
    "down": _END,
    "autostop": "{} run --time 2h -- CMD ends a command after a time",
    "show-gpus": _DEVICES,
    "gpus": _DEVICES,
    "gpu": _DEVICES,
    "check": "{} doctor says what is wrong, and what to do",
    "logs": _OUTPUT,
    "log": _OUTPUT,
    # Genv
    "find": "{} envs --name NAME --user USER finds environments",
    "query": "{} envs --fields id,name --csv prints what scripts read",
    "init": 'eval "$(genvx shell-init bash)" lets activate change your shell',
    "shell": "{} activate opens a shell; genvx shell-init lets it change yours",
    "home": "genvx config path prints the file that counts here",
    "usage": "{} status --json has devices, processes, environments and who waits",
    "enforce": _LIMITS,
    "monitor": "{} devices -w redraws until Ctrl-C",
    "refresh": "an activated shell sees changes at its next prompt; nothing is to be typed",
    "unlock": "genvx lock -- CMD takes a turn for the time of a command",
    "save": "genvx config set KEY VALUE is kept at once",
    "load": "genvx activate loads the nearest .genvx.toml, unless --no-load",
    # Docker, ps and their like
    "ps": _ENVS,
    "kill": _END,
    "stop": _END,
    "rm": _END,
    "start": _NO_DAEMON,
    "daemon": _NO_DAEMON,
    "server": _NO_DAEMON,
    "top": "{} devices -w redraws until Ctrl-C",
    "watch": "{} devices -w redraws until Ctrl-C",
    "ls": _DEVICES,
    "list": _DEVICES,
    "info": "{} status shows an environment, or a host",
    "inspect": "{} status shows an environment, or a host",
    "nvidia-smi": "genvx smi shows this environment's GPUs, {} devices all",
    "gpustat": _DEVICES,
    "nvtop": "{} devices -w redraws until Ctrl-C",
    "free": "{} devices shows what is free; {} release ENV gives GPUs back",
    "reserve": "{} acquire --gpus N --for 2h holds GPUs for a time",
    "allocate": _SHELL,
    "alloc": _SHELL,
    "lease": _ENVS,
    "leases": _ENVS,
    "login": _LOGIN,
    "ssh": _LOGIN,
    "wait": "{} run --wait 30m waits for GPUs, for a time at most",
    "exit": "type exit, or genvx deactivate, in the shell that is activated",
    "quit": "type exit, or genvx deactivate, in the shell that is activated",
}

_GPUS = "--gpus N takes N GPUs on one host, --gpus A100:2 two of a model"
_TIME = "--time 2h ends it after a time"
_NODES = "--nodes N (of genvx remote run) takes N hosts at once"
_TAGS = "--tag TAG takes hosts whose line in the hostfile has that tag"
_DEVICE = "--device 0,3 takes GPUs by number or UUID"
_NOT_LIMITED = "genvx hands out GPUs only; processors and memory of a host are not limited"
_NO_OUTPUT = "the output comes here; write it to a file with > FILE"
_HOST = "-H A,B (of genvx remote) names hosts, --only-host NAME takes some of those in a hostfile"
_FORMAT = "--csv or --json, with --no-header and --fields, are for scripts; --as github for pages"

OPTIONS = {
    # Slurm
    "--gres": _GPUS,
    "--gpus-per-node": _GPUS,
    "--gpus-per-task": _GPUS,
    "--gpus-per-socket": _GPUS,
    "-G": _GPUS,
    "--ntasks": _NODES,
    "--ntasks-per-node": "a command runs once on each host; torchrun or mpirun start more there",
    "-p": _TAGS,
    "--partition": _TAGS,
    "--qos": "policy.toml limits users and groups; genvx policy shows it",
    "-A": "policy.toml limits users and groups; genvx policy shows it",
    "--account": "policy.toml limits users and groups; genvx policy shows it",
    "-C": _TAGS,
    "--constraint": _TAGS,
    "--nodelist": "--only-host NAME takes some of the hosts",
    "-w": "--only-host NAME takes some of the hosts",
    "--exclude": "--exclude-host NAME leaves a host out",
    "-x": "--exclude-host NAME leaves a host out",
    "-J": "--name NAME names the environment",
    "--job-name": "--name NAME names the environment",
    "-c": _NOT_LIMITED,
    "--cpus-per-task": _NOT_LIMITED,
    "--cpus-per-gpu": _NOT_LIMITED,
    "--mem": _NOT_LIMITED,
    "--mem-per-cpu": _NOT_LIMITED,
    "--mem-per-gpu": _NOT_LIMITED,
    "--time-min": _TIME,
    "-t": f"{_TIME}; --timeout (of genvx remote) is for asking the hosts",
    "--exclusive": "GPUs are whole unless --gpu-memory takes a part",
    "--immediate": "without --wait a request is refused at once if there is no room",
    "--output": _NO_OUTPUT,
    "--error": _NO_OUTPUT,
    "--chdir": "cd there first",
    "-D": "cd there first",
    "--array": "start one genvx run for each; --wait queues them",
    "--dependency": "put && between two commands",
    "--wrap": "write the command after --",
    "--pty": "activate -- CMD runs a command in the terminal",
    "--export": "env NAME=VALUE before the command gives it variables",
    # SkyPilot
    "--accelerators": _GPUS,
    "--num-nodes": _NODES,
    "--num-gpus": _GPUS,
    "--cpus": _NOT_LIMITED,
    "--memory": "--gpu-memory 40G takes a part of each GPU",
    "--cluster": "-H A,B or --hostfile FILE name the hosts of genvx remote",
    "--down": _TIME,
    "--idle-minutes-to-autostop": _TIME,
    "--workdir": "cd there first",
    "--env": "env NAME=VALUE before the command gives it variables",
    # Genv
    "--count": _GPUS,
    "--index": _DEVICE,
    "--indices": _DEVICE,
    "--devices": _DEVICE,
    "--uuid": _DEVICE,
    "--gpu-id": _DEVICE,
    "--format": _FORMAT,
    "--format-csv": _FORMAT,
    "--format-no-header": _FORMAT,
    "--format-no-summary": "--no-summary leaves out the last line",
    "--query": _FORMAT,
    "--save": "genvx config set KEY VALUE is kept at once",
    "--load": "genvx activate loads the nearest .genvx.toml, unless --no-load",
    "--shell": "genvx shell-init lets activate change your shell",
    # Others
    "--mem-gpu": "--gpu-memory 40G takes a part of each GPU",
    "--vram": "--gpu-memory 40G takes a part of each GPU",
    "--model": _GPUS,
    "--type": _GPUS,
    "--detach": "nohup or tmux keep a command when you leave",
    "-d": "nohup or tmux keep a command when you leave",
    # It chose among the hosts once
    "--host": _HOST,
    "--hosts": _HOST,
}


def meaning(error: Any, command: Any, words: list[str]) -> str | None:
    """What a word that genvx does not have is called here; None if nobody says it elsewhere.

    error: why the words were refused. command: genvx.
    """
    option = getattr(error, "option_name", None)
    # Other errors name an option, too: one without its value, or with one that it does not take.
    if option is not None and hasattr(error, "possibilities"):
        return _answer(option, _instead(option, error.ctx, command), "genvx")
    path = ["genvx"]
    for _, word, found in scan(command, words):
        if word.startswith("-"):
            continue
        if found is None:
            if path == ["genvx", "remote"] and word in command.commands:
                return f"{word} is for this machine only: genvx {word}"
            if path not in (["genvx"], ["genvx", "remote"]):
                return None
            return _answer(word, VERBS.get(word), " ".join(path))
        path.append(word)
    return None


def _instead(option: str, context: Any, command: Any) -> str | None:
    """What to type for an option that is not there."""
    path = "genvx" if context is None else context.command_path
    expected = misplaced.answer(option, path)
    if expected is not None:
        return expected
    ours, others = misplaced.elsewhere(option, path, command), OPTIONS.get(option)
    # Where GPUs are asked for, people mean Slurm's -w and not our --watch.
    asks = context is not None and any("--spread" in each.opts for each in context.command.params)
    return (others or ours) if asks else (ours or others)


def _answer(word: str, answer: str | None, prefix: str) -> str | None:
    if answer is None:
        return None
    return f"there is no {printable(word, 40)} here; {answer.replace('{}', prefix)}"
