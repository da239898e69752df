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
_IMAGE = "--image IMAGE (of genvx run, activate, serve and sweep) starts the command in a container"
_EACH_GPU = "--launcher torchrun or mpirun (of genvx run) starts a process for each GPU"
_CODE = "--project DIR (of genvx run --detach) sends a directory, and starts the command in a copy"
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
    "--ntasks-per-node": _EACH_GPU,
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
    "--array": "genvx sweep runs a command with many different parameters",
    "--dependency": "put && between two commands",
    "--nproc-per-node": _EACH_GPU,
    "--nproc_per_node": _EACH_GPU,
    "--np": _EACH_GPU,
    "--mpi": _EACH_GPU,
    "--container-image": _IMAGE,
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
    "--workdir": _CODE,
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
    # Docker
    "--container": _IMAGE,
    "--docker": _IMAGE,
    "--docker-image": _IMAGE,
    "--volume": "--mount A:B (beside --image) shows a directory of the host in the container",
    "--publish": "genvx serve starts a command with a port, and leads to it",
    # Others
    "--num-workers": _NODES,
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
