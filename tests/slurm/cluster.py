"""A real Slurm cluster of two nodes on loopback: munged, slurmctld and slurmds, of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from genvx.sandbox.ports import reserved
from tests.helpers import until

NODE, OTHER = "gnode1", "gnode2"
_DAEMON_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs, for programs that have its SLURM_CONF."""

    directory: Path

    @property
    def conf(self) -> str:
        return str(self.directory / "slurm.conf")

    def ask(self, *words: str) -> str:
        """Run a program of Slurm; return what it says, or fails."""
        answer = subprocess.run(
            words,
            env={"PATH": _DAEMON_PATH, "SLURM_CONF": self.conf, "HOME": "/"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()

    def idle(self) -> bool:
        """Whether all nodes have no job, and would take one."""
        try:
            return set(self.ask("sinfo", "-h", "-N", "-o", "%T").split()) == {"idle"}
        except AssertionError:
            return False

    def jobs(self) -> list[str]:
        """The ids of jobs that are waiting or running."""
        return self.ask("squeue", "-h", "-t", "PD,CF,R,S,CG", "-o", "%i").split()


@contextlib.contextmanager
def cluster(directory: Path) -> Iterator[Cluster]:
    """Start a cluster in a directory with a short path; its daemons end with the block."""
    for name in ("munge", "spool", "state"):
        (directory / name).mkdir(mode=0o700)
    key = directory / "munge" / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    with contextlib.ExitStack() as stack:
        ports = contextlib.ExitStack()
        controller, *daemons = (ports.enter_context(reserved()) for _ in range(3))
        _write(directory, controller, daemons)
        ports.close()
        munge = directory / "munge"
        _start(
            stack,
            directory,
            *("munged", "-F", "-f", "-S", f"{munge}/s", f"--key-file={key}"),
            *(f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed"),
            "--num-threads=2",
        )
        until((munge / "s").exists, "munged listens")
        _start(stack, directory, "slurmctld", "-D", "-f", f"{directory}/slurm.conf")
        for node in (NODE, OTHER):
            _start(stack, directory, "slurmd", "-D", "-N", node, "-f", f"{directory}/slurm.conf")
        made = Cluster(directory)
        until(made.idle, "the nodes are idle")
        try:
            yield made
        finally:
            # A slurmstepd outlives its slurmd.
            for job in made.jobs():
                made.ask("scancel", job)
            until(lambda: not made.jobs(), "no job is left")


def _write(directory: Path, controller: int, daemons: Sequence[int]) -> None:
    host = socket.gethostname()
    lines = [
        *("ClusterName=test", f"SlurmctldHost={host}(127.0.0.1)"),
        *(f"SlurmctldPort={controller}", "SlurmUser=root"),
        *("AuthType=auth/munge", f"AuthInfo=socket={directory}/munge/s", "CryptoType=crypto/munge"),
        *(f"StateSaveLocation={directory}/state", f"SlurmdSpoolDir={directory}/spool/%n"),
        *(f"SlurmctldPidFile={directory}/ctld.pid", f"SlurmdPidFile={directory}/%n.pid"),
        *(f"SlurmctldLogFile={directory}/ctld.log", f"SlurmdLogFile={directory}/%n.log"),
        *("ProctrackType=proctrack/linuxproc", "SwitchType=switch/none"),
        *("TaskPlugin=task/affinity", f"TaskProlog={directory}/prolog"),
        *("PreemptType=preempt/partition_prio", "PreemptMode=CANCEL"),
        *("JobAcctGatherType=jobacct_gather/none", "AccountingStorageType=accounting_storage/none"),
        *("MpiDefault=none", "SelectType=select/cons_tres", "SelectTypeParameters=CR_Core"),
        *("GresTypes=gpu", "KillWait=2", "ReturnToService=2", "SchedulerType=sched/builtin"),
        # One second is the least: jobs begin and end soon.
        *("SchedulerParameters=sched_interval=1,batch_sched_delay=0", "MinJobAge=300"),
        *("OverTimeLimit=0", "InactiveLimit=0", "PropagateResourceLimits=NONE"),
        *(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 "
            "RealMemory=1000 Gres=gpu:fake:2"
            for node, port in zip((NODE, OTHER), daemons, strict=True)
        ),
        f"PartitionName=gpu Nodes={NODE} Default=YES MaxTime=60 State=UP",
        f"PartitionName=pair Nodes={NODE},{OTHER} MaxTime=60 State=UP CpuBind=core",
        f"PartitionName=urgent Nodes={NODE} MaxTime=60 PriorityTier=9 State=UP",
        f"PartitionName=closed Nodes={NODE} State=DOWN",
    ]
    (directory / "slurm.conf").write_text("\n".join(lines) + "\n")
    (directory / "gres.conf").write_text(
        "Name=gpu Type=fake File=/dev/zero\nName=gpu Type=fake File=/dev/full\n"
    )
    # Both nodes are this machine, and would have one state directory.
    prolog = directory / "prolog"
    prolog.write_text(
        f'#!/bin/sh\necho "export GENVX_STATE_DIR={directory}/$SLURMD_NODENAME-state"\n'
    )
    prolog.chmod(0o755)
    for node in (NODE, OTHER):
        (directory / f"{node}-state").mkdir(mode=0o700)
    (directory / "cgroup.conf").write_text("CgroupAutomount=no\n")


def _start(stack: contextlib.ExitStack, directory: Path, *argv: str) -> None:
    # Not ours: a job has what slurmd has.
    environ = {"PATH": _DAEMON_PATH, "SLURM_CONF": f"{directory}/slurm.conf", "HOME": "/root"}
    with open(directory / f"{argv[0]}.out", "wb") as out:
        process = subprocess.Popen(
            argv, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    stack.callback(_end, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
