"""Options of Slurm, SkyPilot and Genv, and what genvx has in their place."""

from __future__ import annotations

_KEPT = "genvx run --detach goes on when you leave"

_GPUS = "--gpus N takes N GPUs on one host, --gpus A100:2 two of a model"
_TIME = "--time 2h ends it after a time"
_NODES = "--nodes N (of genvx remote run) takes N hosts at once"
_TAGS = "--tag TAG takes hosts whose line in the hostfile has that tag"
_DEVICE = "--device 0,3 takes GPUs by number or UUID"
_NOT_LIMITED = "genvx hands out GPUs only; processors and memory of a host are not limited"
_NOTIFY = "--notify mail:ADDRESS (of genvx run --detach) tells you of its end"
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
    "--mail-type": _NOTIFY,
    "--mail-user": _NOTIFY,
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
