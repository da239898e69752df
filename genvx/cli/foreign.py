"""Words of Slurm, SkyPilot, Guild, Genv, Docker and nvidia-smi, and what genvx has in their place.

They are answers to words that are no verb or option of genvx; nothing here is ever executed.
"""

from __future__ import annotations

from typing import Any

from genvx.cli import misplaced
from genvx.cli.commands import scan
from genvx.core.text import printable

# {} stands for "genvx" or "genvx remote", as the user typed it.
_DEVICES = "{} devices shows the GPUs and who has them"
_ENVS = "{} envs shows who has what"
_SHELL = "{} activate --gpus N opens a shell that holds GPUs"
_RUN = "{} run --gpus N -- CMD runs a command that holds GPUs"
_BATCH = "{} run --gpus N --wait -- CMD waits for GPUs and runs a command"
_WAITERS = "{} queue shows who waits, {} envs who has what"
_END = "{} release ENV gives the GPUs of an environment back; Ctrl-C ends {} run"
_SUBMIT = "{} run --detach --gpus N --wait -- CMD goes on without you; {} runs shows it"
_STOP = "{} runs stop RUN ends a run; {} release ENV gives GPUs of an environment back"
_PAST = "{} runs shows runs and what became of them"
_INSIDE = "{} run --id RUN -- CMD runs a command on the GPUs of a run"
_ONE_RUN = "{} runs info RUN shows a run; RUN is an id, a name, or 1 for the latest"
_SHOWS = "{} runs info RUN shows a run, {} status an environment, or a host"
_DIFFERS = "{} runs compare RUN RUN shows what differs"
_AGAIN = "{} runs restart RUN starts a run that is over again"
_CALLED = "{} runs label RUN NAME gives a run another name, {} runs tag RUN TAG a tag"
_GONE = "{} runs delete RUN moves a run to the trash; {} release ENV gives GPUs back"
_OUTPUT = "{} logs RUN shows the output of a run, {} watch RUN follows it"
_KEPT = "genvx run --detach goes on when you leave"
_LOGIN = "genvx remote activate --gpus N opens a shell on a host that has them"
_HOSTS = "genvx remote devices shows the hosts; -H A,B or a hostfile names them"
_LIMITS = "{} policy shows what the administrator allows"
_NO_DAEMON = "genvx has no server; nothing needs to be started on a shared machine"

VERBS = {
    # Slurm and similar systems
    "sinfo": "{} devices shows what is free, and where",
    "squeue": "{} runs shows your runs, {} queue who waits, {} envs who has what",
    "salloc": _SHELL,
    "srun": _RUN,
    "sbatch": _SUBMIT,
    "scancel": _STOP,
    "sattach": "{} watch RUN shows the output of a run; {} activate --id RUN joins it",
    "requeue": _AGAIN,
    "sacct": _PAST,
    "sstat": "{} status shows an environment, or a host",
    "sprio": _WAITERS,
    "sshare": _LIMITS,
    "scontrol": "{} status shows an environment, or a host",
    "sacctmgr": _LIMITS,
    "qsub": _SUBMIT,
    "qstat": _WAITERS,
    "qdel": _STOP,
    "bsub": _SUBMIT,
    "bjobs": _WAITERS,
    "bkill": _STOP,
    "submit": _SUBMIT,
    "jobs": _PAST,
    "job": _PAST,
    "nodes": _HOSTS,
    "node": _HOSTS,
    "hosts": _HOSTS,
    "partition": "genvx remote run --tag TAG takes hosts whose line in the hostfile has that tag",
    # SkyPilot
    "launch": _RUN,
    "exec": _INSIDE,
    "cancel": _STOP,
    "down": _END,
    "autostop": "{} run --time 2h -- CMD ends a command after a time",
    "show-gpus": _DEVICES,
    "gpus": _DEVICES,
    "gpu": _DEVICES,
    "check": "{} doctor says what is wrong, and what to do",
    "log": _OUTPUT,
    "tail": _OUTPUT,
    # Guild
    "select": _ONE_RUN,
    "diff": _DIFFERS,
    "compare": _DIFFERS,
    "cat": _OUTPUT,
    "label": _CALLED,
    "tag": _CALLED,
    "mark": _CALLED,
    "comment": _CALLED,
    "delete": _GONE,
    "restore": "{} runs restore RUN takes a run out of the trash",
    "purge": "{} runs purge RUN deletes a run in the trash for good",
    "history": _PAST,
    "experiment": _PAST,
    "trial": _PAST,
    "restart": _AGAIN,
    "rerun": _AGAIN,
    "move": "{} runs move RUN moves a run that waits to another host",
    # Genv
    "find": "{} envs --name NAME --user USER finds environments",
    "query": "{} envs --fields id,name --csv prints what scripts read",
    "init": 'eval "$(genvx shell-init bash)" lets activate change your shell',
    "shell": "{} activate opens a shell; genvx shell-init lets it change yours",
    "home": "genvx config path prints the file that counts here",
    "usage": "{} status --json has devices, processes, environments and who waits",
    "enforce": _LIMITS,
    "monitor": "{} devices -w redraws until Ctrl-C",
    "refresh": "an activated shell sees changes at its next prompt; no command is needed",
    "unlock": "genvx lock -- CMD keeps the turn while a command runs, and no longer",
    "save": "genvx config set KEY VALUE saves at once",
    "load": "genvx activate loads the nearest .genvx.toml, unless --no-load",
    # Docker, ps and similar commands
    "ps": "{} runs shows runs, {} envs who has what",
    "kill": _STOP,
    "stop": _STOP,
    "rm": _GONE,
    "rename": _CALLED,
    "start": _NO_DAEMON,
    "daemon": _NO_DAEMON,
    "server": _NO_DAEMON,
    "top": "{} devices -w redraws until Ctrl-C",
    "ls": _DEVICES,
    "list": _DEVICES,
    "info": _SHOWS,
    "inspect": _SHOWS,
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
    "wait": "{} watch RUN waits for the end of a run, {} run --wait for GPUs",
    "exit": "type exit, or genvx deactivate, in the shell that is activated",
    "quit": "type exit, or genvx deactivate, in the shell that is activated",
}

# Behind genvx runs.
RUNS_VERBS = {
    "list": _PAST,
    "ls": _PAST,
    "show": _ONE_RUN,
    "status": _ONE_RUN,
    "inspect": _ONE_RUN,
    "select": _ONE_RUN,
    "diff": _DIFFERS,
    "logs": _OUTPUT,
    "log": _OUTPUT,
    "cat": _OUTPUT,
    "tail": _OUTPUT,
    "watch": "{} watch RUN shows the output of a run until it ends; {} runs -w redraws the table",
    "kill": _STOP,
    "cancel": _STOP,
    "rm": _GONE,
    "remove": _GONE,
    "start": _SUBMIT,
    "submit": _SUBMIT,
    "run": _SUBMIT,
    "rerun": _AGAIN,
    "requeue": _AGAIN,
    "retry": _AGAIN,
    "rename": _CALLED,
    "mark": _CALLED,
    "comment": _CALLED,
    "wait": "{} watch RUN waits for the end of a run",
    "exec": _INSIDE,
}

_GPUS = "--gpus N takes N GPUs on one host, --gpus A100:2 two of a model"
_TIME = "--time 2h ends it after a time"
_NODES = "--nodes N (of genvx remote run) takes N hosts at once"
_TAGS = "--tag TAG takes hosts whose line in the hostfile has that tag"
_DEVICE = "--device 0,3 takes GPUs by number or UUID"
_NOT_LIMITED = "genvx hands out GPUs only; processors and memory of a host are not limited"
_NO_OUTPUT = "the output comes here; genvx logs shows that of a run that was detached"
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
    "--requeue": "--retries N (of genvx run --detach) starts a command again that failed",
    "--restart": "--retries N (of genvx run --detach) starts a command again that failed",
    "--mail-type": "--notify LINE (of genvx run --detach) runs a line of sh at the end",
    "--mail-user": "--notify LINE (of genvx run --detach) runs a line of sh at the end",
    "--tail": "genvx logs -n 20 RUN begins with the last 20 lines",
    "--follow": "genvx watch RUN follows the output of a run",
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
    "--save": "genvx config set KEY VALUE saves at once",
    "--load": "genvx activate loads the nearest .genvx.toml, unless --no-load",
    "--shell": "genvx shell-init lets activate change your shell",
    # Others
    "--mem-gpu": "--gpu-memory 40G takes a part of each GPU",
    "--vram": "--gpu-memory 40G takes a part of each GPU",
    "--model": _GPUS,
    "--type": _GPUS,
    "--detach": _KEPT,
    "-d": _KEPT,
    # An earlier option of genvx that selected hosts
    "--host": _HOST,
    "--hosts": _HOST,
}


def meaning(error: Any, command: Any, words: list[str]) -> str | None:
    """Return the answer to a word that genvx does not have; None if the word is not known.

    error: why the words were refused. command: the click command of genvx.
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
            table, typed = VERBS, path
            if path[-1] == "runs":
                table, typed = RUNS_VERBS, path[:-1]
            if typed not in (["genvx"], ["genvx", "remote"]):
                return None
            return _answer(word, table.get(word), " ".join(typed))
        path.append(word)
    return None


def _instead(option: str, context: Any, command: Any) -> str | None:
    """Return what to type in place of an option that does not exist."""
    path = "genvx" if context is None else context.command_path
    expected = misplaced.answer(option, path)
    if expected is not None:
        return expected
    ours, others = misplaced.elsewhere(option, path, command), OPTIONS.get(option)
    # At a verb that takes GPUs, people mean Slurm's -w (a node), not the --watch of other verbs.
    asks = context is not None and any("--spread" in each.opts for each in context.command.params)
    return (others or ours) if asks else (ours or others)


def _answer(word: str, answer: str | None, prefix: str) -> str | None:
    if answer is None:
        return None
    return f"there is no {printable(word, 40)} here; {answer.replace('{}', prefix)}"
