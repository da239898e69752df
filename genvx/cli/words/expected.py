"""Options that people expect at a verb which has another one for that, or none."""

from __future__ import annotations

_TAKEN_AWAY = "--device 0,3 names GPUs; without it all are given back"
_BY_ID = "--id ENV names an environment, by its id or its name"
_ONE = "{} smi --id ENV shows one environment, {} envs --name NAME who holds it"
_BACK = "{} detach --device 0 --id ENV gives one GPU back, {} release ENV all"
_RELEASED = "the environment is written without an option: {} release ENV"
_TURN = "a turn is on all GPUs of the environment; {} attach --gpus N adds GPUs"
_LABELLED = "the name is written without an option: {} runs label RUN NAME"
_NOT_AWAITED = "--detach does not wait for the end; -d -w shows the output, and does"
_ENDS = "--time 2h ends it after a time"

# By verb and option. {} stands for "genvx" or "genvx remote", as the user typed it.
ANSWERS = {
    ("detach", "--gpus"): _TAKEN_AWAY,
    ("detach", "-g"): _TAKEN_AWAY,
    ("detach", "--gpu-memory"): _TAKEN_AWAY,
    ("detach", "--min-memory"): _TAKEN_AWAY,
    ("release", "--gpus"): _BACK,
    ("release", "-g"): _BACK,
    ("release", "--device"): _BACK,
    ("release", "--id"): _RELEASED,
    ("release", "--name"): _RELEASED,
    ("release", "-n"): _RELEASED,
    ("release", "--force"): "--kill ends its processes first",
    ("attach", "--name"): _BY_ID,
    ("attach", "-n"): _BY_ID,
    ("detach", "--name"): _BY_ID,
    ("detach", "-n"): _BY_ID,
    ("lock", "--name"): _BY_ID,
    ("lock", "-n"): _BY_ID,
    ("smi", "--name"): _BY_ID,
    ("smi", "-n"): _BY_ID,
    ("status", "--id"): _ONE,
    ("status", "--name"): _ONE,
    ("status", "-n"): _ONE,
    ("devices", "--id"): _ONE,
    ("envs", "--id"): _ONE,
    ("lock", "--gpus"): _TURN,
    ("lock", "-g"): _TURN,
    ("lock", "--device"): _TURN,
    ("acquire", "--time"): "--for 2h says how long",
    ("acquire", "--wait"): "it takes what is free now; {} run --wait -- CMD waits",
    ("activate", "--for"): _ENDS,
    ("run", "--for"): _ENDS,
    ("runs label", "--set"): _LABELLED,
    ("runs label", "-s"): _LABELLED,
    ("label", "--set"): _LABELLED,
    ("label", "-s"): _LABELLED,
    ("run", "--no-wait"): _NOT_AWAITED,
    ("run", "--background"): _NOT_AWAITED,
    ("run", "--port"): "{} serve starts a command with a port of its own, and leads to it",
    ("serve", "--nodes"): "a server is on one host; {} run -d --nodes N is a run on several",
    ("serve", "-N"): "a server is on one host; {} run -d --nodes N is a run on several",
    ("serve", "--launcher"): "write the launcher into the command, after --",
    ("cluster", "--launcher"): "the engine starts its workers itself; write the command after --",
    ("cluster", "--workers"): "-N N is the number of hosts, -g N that of the GPUs on each",
    ("cluster", "--retries"): "a cluster is not started again; the command can be, within it",
    ("cluster", "--notify"): "{} run -d --notify sends messages; a cluster sends none",
    ("cluster", "--json"): "its address, or with -d its id, is all that goes to stdout",
    ("cluster", "--watch"): "without -d the output of the command is shown until its end",
    ("cluster", "-w"): "without -d the output of the command is shown until its end",
    ("sweep", "--wait"): "trials wait in line by themselves",
    ("sweep", "--nodes"): "a trial is on one host; -g N is the number of its GPUs",
    ("sweep", "-N"): "a trial is on one host; -g N is the number of its GPUs",
    ("sweep", "--launcher"): "write the launcher into the command, after --",
    ("sweep", "--tty"): "trials have no terminal; genvx ssh RUN enters one",
    ("remotes start", "--wait"): "it waits by itself; --timeout 30m says for how long at most",
    ("start", "--wait"): "it waits by itself; --timeout 30m says for how long at most",
    ("remotes stop", "--delete"): "--terminate ends a machine and deletes its disk",
    ("sandbox up", "--hosts"): "--gpus has a number for each host: --gpus 8,8,8 is three hosts",
}
