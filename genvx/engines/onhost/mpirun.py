"""What a host's mpirun is, and what has it start its daemons by a program of ours."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import stat
import subprocess

from genvx.engines.onhost.life import MISSING, Failure
from genvx.engines.onhost.place import Scratch

# Seconds; from a slow disk.
_ANSWERS_WITHIN = 60.0
_INSTALL = "install Open MPI, MPICH or Intel MPI there"
# What mpirun takes for ssh: `AGENT [OPTION]... HOST WORD...`.
AGENT = """
import base64, json, os, socket, sys
words = sys.argv[2:]
while words and words[0].startswith("-"):
    words.pop(0)
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
asked = {"node": words[0], "command": " ".join(words[1:])}
sock.sendall(json.dumps(asked).encode() + b"\\n")
for line in sock.makefile("rb"):
    said = json.loads(line)
    if "code" in said:
        os._exit(said["code"])
    data = base64.b64decode(said["data"])
    while data:
        data = data[os.write(said["to"], data):]
sys.exit(255)
"""


class Mpirun:
    """The mpirun of a host. hydra: it is that of MPICH or Intel MPI, else of Open MPI.

    Raises:
        Failure: there is none, or another one.
    """

    def __init__(self) -> None:
        path = shutil.which("mpirun")
        if path is None:
            raise Failure(f"there is no mpirun on {platform.node()}: {_INSTALL}", MISSING)
        try:
            answer = subprocess.run(
                [path, "--version"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=_ANSWERS_WITHIN,
            )
        except subprocess.TimeoutExpired:
            raise Failure(f"{path} of {platform.node()} does not say its version") from None
        lines = [line.strip() for line in answer.stdout.decode(errors="replace").splitlines()]
        text = "\n".join(lines)
        self.path = path
        self.hydra = "HYDRA" in text or "Intel(R) MPI" in text
        if not self.hydra and not any(name in text for name in ("Open MPI", "OpenRTE", "PRRTE")):
            where = f"{path} on {platform.node()}"
            raise Failure(f"{where} is neither Open MPI, MPICH nor Intel MPI: {_INSTALL}")
        number = next((line for line in lines if line.startswith("Version:")), lines[0])
        self.version = f"MPICH {number.split()[-1]}" if "HYDRA" in text else number

    def words(self, address: str, hosts: str, way: str) -> list[str]:
        """How it is started. address: of node 0 for the others. hosts: its hostfile. way: the
        directory of all processes.
        """
        if self.hydra:
            # Its daemons call node 0 at -localhost.
            return [self.path, "-f", hosts, "-localhost", address, "-wdir", way]
        return [self.path, "--wdir", way]

    def variables(self, agent: str, hosts: str) -> dict[str, str]:
        """What has it start its daemons by our agent, a script for sh: /tmp may let nothing be
        executed. Words that a user writes take precedence.
        """
        if self.hydra:
            found = {}
            for prefix in ("HYDRA", "I_MPI_HYDRA"):
                # Each process has the variables of its host, not node 0's: they name its GPUs.
                found[f"{prefix}_ENV"] = "none"
            return {
                **found,
                # With ssh it adds an option of ssh's before our words.
                "HYDRA_LAUNCHER": "rsh",
                "HYDRA_LAUNCHER_EXEC": "/bin/sh",
                "HYDRA_LAUNCHER_EXTRA_ARGS": agent,
                "HYDRA_RMK": "user",
                "I_MPI_HYDRA_BOOTSTRAP": "rsh",
                "I_MPI_HYDRA_BOOTSTRAP_EXEC": "/bin/sh",
                "I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS": agent,
            }
        found = {}
        # Open MPI up to 4 has orte and rsh, from 5 on prte and ssh.
        for mca, name, plm in (("OMPI", "orte", "rsh"), ("PRTE", "prte", "ssh")):
            found[f"{mca}_MCA_plm"] = plm
            found[f"{mca}_MCA_plm_{plm}_agent"] = f"/bin/sh {agent}"
            # Otherwise a daemon on another host starts some of them, and has no agent.
            found[f"{mca}_MCA_plm_{plm}_no_tree_spawn"] = "1"
            found[f"{mca}_MCA_{name}_leave_session_attached"] = "1"
            found[f"{mca}_MCA_{name}_default_hostfile"] = hosts
        return found

    def hostfile(self, slots: list[int]) -> str:
        """The hosts for mpirun; slots: of each node, by rank."""
        names = [node_name(rank) if rank else "localhost" for rank in range(len(slots))]
        form = "{}:{}\n" if self.hydra else "{} slots={}\n"
        return "".join(form.format(name, slots[rank]) for rank, name in enumerate(names))


def node_name(rank: int) -> str:
    """What mpirun calls another node."""
    # No name of the network: what mpirun takes for an address of this machine, it starts here.
    return f"genvx-node-{rank}"


def _is_ours(path: str) -> bool:
    """Whether it is a directory of our user, and no link."""
    found = os.lstat(path)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


class Way:
    """A path that leads to the directory of this node's command, and is the same on all hosts.

    mpirun starts all processes in one path, and the directories of a run differ between hosts.
    """

    def __init__(self, run: str) -> None:
        self.path = f"/tmp/gv-{run}-way/work"
        self._scratch: Scratch | None = None
        try:
            self._scratch = Scratch(run, "way", os.getcwd())
        except OSError as error:
            # Another node of this job is on this machine, as in a sandbox. But another user may
            # know the run's id, and lead its processes into a directory of theirs.
            is_there = error.errno in (errno.EEXIST, errno.ENOTEMPTY)
            if not is_there or not _is_ours(os.path.dirname(self.path)):
                raise

    def remove(self) -> None:
        """Delete it."""
        if self._scratch is not None:
            self._scratch.remove()


def environment() -> dict[str, str]:
    """Our variables, without those by which mpirun would find another allocation of hosts."""
    other = ("SLURM_", "PBS_", "LSB_", "PE_HOSTFILE", "COBALT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(other)}
