"""mpirun over the hosts of a gang: the program on each of them.

mpirun starts a daemon of its own on each host, by ssh. Here it starts them by a small program of
ours instead (`_AGENT`), which hands the command to node 0's part of this program, and that to the
part on the host, which has been waiting for it. So no host logs in to another one, each daemon has
the variables and GPUs of its host's lease, and it ends with that lease.

The text of this module travels as that of a cluster does (node.py). It runs with Python 3.9.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import errno
import json
import os
import platform
import queue
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from genvx.engines.onhost.engines import MISSING, Failure
from genvx.engines.onhost.link import SILENCE, Link, beat, greet, proof, same, serve
from genvx.engines.onhost.place import Scratch, devices, loopback

# Seconds. All nodes start at the same time, each after a shell and a Python.
JOIN_WITHIN = 60.0
# A member that is to end waits so long for the end of mpirun, which then ends in order.
_ORDERLY_WITHIN = 4
_END_WITHIN = 3.0
_LOST = 70
_CHUNK = 16 * 1024
_MOST_COMMAND = 32 * 1024
_INSTALL = "install Open MPI, MPICH or Intel MPI there"
# What mpirun takes for ssh: `AGENT [OPTION]... HOST WORD...`.
_AGENT = """
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
            raise Failure(f"{platform.node()} has no mpirun: {_INSTALL}", MISSING)
        answer = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        lines = [line.strip() for line in answer.stdout.decode(errors="replace").splitlines()]
        text = "\n".join(lines)
        self.path = path
        self.hydra = "HYDRA" in text or "Intel(R) MPI" in text
        if not self.hydra and not any(name in text for name in ("Open MPI", "OpenRTE", "PRRTE")):
            raise Failure(f"{path} of {platform.node()} is of no MPI known here: {_INSTALL}")
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
        """What has it start its daemons by our agent. Words that a user writes take precedence."""
        if self.hydra:
            found = {}
            for prefix in ("HYDRA", "I_MPI_HYDRA"):
                # Each process has the variables of its host, not node 0's: they name its GPUs.
                found[f"{prefix}_ENV"] = "none"
            return {
                **found,
                **{"HYDRA_LAUNCHER": "ssh", "HYDRA_LAUNCHER_EXEC": agent, "HYDRA_RMK": "user"},
                **{"I_MPI_HYDRA_BOOTSTRAP": "ssh", "I_MPI_HYDRA_BOOTSTRAP_EXEC": agent},
            }
        found = {}
        # Open MPI up to 4 has orte and rsh, from 5 on prte and ssh.
        for mca, name, plm in (("OMPI", "orte", "rsh"), ("PRTE", "prte", "ssh")):
            found[f"{mca}_MCA_plm"] = plm
            found[f"{mca}_MCA_plm_{plm}_agent"] = agent
            # Otherwise a daemon on another host starts some of them, and has no agent.
            found[f"{mca}_MCA_plm_{plm}_no_tree_spawn"] = "1"
            found[f"{mca}_MCA_{name}_leave_session_attached"] = "1"
            found[f"{mca}_MCA_{name}_default_hostfile"] = hosts
        return found

    def hostfile(self, slots: list[int]) -> str:
        """The hosts for mpirun; slots: of each node, by rank."""
        names = [_name(rank) if rank else "localhost" for rank in range(len(slots))]
        form = "{}:{}\n" if self.hydra else "{} slots={}\n"
        return "".join(form.format(*each) for each in zip(names, slots))


def _name(rank: int) -> str:
    # No name of the network: what mpirun takes for an address of this machine, it starts here.
    return f"genvx-node-{rank}"


class Way:
    """A path that leads to the directory of this node's command, and is the same on all hosts.

    mpirun starts all processes in one path, and the directories of a run differ between hosts.
    """

    def __init__(self, run: str) -> None:
        self.path = f"/tmp/gv-{run}-way/work"
        self._scratch: Scratch | None = None
        try:
            self._scratch = Scratch(run, "way")
            os.symlink(os.getcwd(), self.path)
        except OSError as error:
            # Another node of this job is on this machine, as in a sandbox.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise

    def remove(self) -> None:
        """Delete it."""
        if self._scratch is not None:
            self._scratch.remove()


class Head:
    """Node 0: mpirun, and the links of the members."""

    def __init__(self, asked: dict[str, Any], words: list[str]) -> None:
        self._secret = asked["secret"]
        self._words = words
        self._nodes = int(os.environ["NNODES"])
        self._mpirun = Mpirun()
        self._scratch = Scratch(asked["id"], 0)
        self._way = Way(asked["id"])
        self._events: queue.Queue[tuple[str, Any]] = queue.Queue()
        # By rank. Of a command that runs there, by number: who waits for it.
        self._members: dict[int, tuple[Link, dict[str, Any]]] = {}
        self._waiting: dict[tuple[int, int], socket.socket] = {}
        self._lock = threading.Lock()
        self._numbers = 0
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Wait for all members and start mpirun; return its exit code."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._pass_on)
        serve(int(os.environ["MASTER_PORT"]), self._secret, self._meet)
        slots = self._all_slots()
        process = self._start(slots)
        threading.Thread(
            target=lambda: self._events.put(("ended", process.wait())), daemon=True
        ).start()
        while True:
            # In pieces, so that a signal is handled on every system.
            with contextlib.suppress(queue.Empty):
                what, which = self._events.get(timeout=1.0)
                if what == "lost":
                    raise Failure(f"{which} is gone", _LOST)
                if what == "ended":
                    return int(which) if which >= 0 else 128 - which

    def end(self) -> None:
        """End mpirun first, so that its daemons end in order; then the members."""
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_WITHIN)
            process.kill()
        for link, _ in list(self._members.values()):
            link.send(over=True)
        self._scratch.remove()
        self._way.remove()

    def _pass_on(self, number: int, frame: Any) -> None:
        if self._process is None:
            raise SystemExit(128 + number)
        self._process.send_signal(number)

    def _all_slots(self) -> list[int]:
        """Wait until all members are there."""
        limit = time.monotonic() + JOIN_WITHIN
        while len(self._members) < self._nodes - 1:
            try:
                what, which = self._events.get(timeout=0.2)
            except queue.Empty:
                if time.monotonic() > limit:
                    missing = set(range(1, self._nodes)) - set(self._members)
                    names = os.environ.get("GENVX_NODES", "").split(",")
                    who = ", ".join(names[rank] for rank in sorted(missing) if rank < len(names))
                    raise Failure(f"{who or 'a node'} does not reach node 0") from None
                continue
            if what in ("lost", "refused"):
                raise Failure(f"{which} is gone" if what == "lost" else which, _LOST)
        slots = {rank: int(hello["slots"]) for rank, (_, hello) in self._members.items()}
        return [max(1, len(devices())), *(slots[rank] for rank in sorted(slots))]

    def _start(self, slots: list[int]) -> subprocess.Popen[bytes]:
        address = os.environ["MASTER_ADDR"]
        if loopback(address):
            address = "127.0.0.1"
        hosts = self._scratch.write("hosts", self._mpirun.hostfile(slots))
        place = os.path.join(self._scratch.path, "agent")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{place}.sock")
        listener.listen()
        threading.Thread(target=self._serve_agents, args=(listener,), daemon=True).start()
        words = [sys.executable, "-I", "-S", self._scratch.write("agent.py", _AGENT)]
        text = shlex.join([*words, f"{place}.sock"])
        os.chmod(self._scratch.write("agent", f'#!/bin/sh\nexec {text} "$@"\n'), 0o700)
        environ = {**_environ(), **self._mpirun.variables(place, hosts)}
        command = [*self._mpirun.words(address, hosts, self._way.path), *self._words]
        # In a session of its own: a signal for our group comes to it once, from us.
        self._process = subprocess.Popen(
            command, env=environ, start_new_session=True, preexec_fn=_end_with_us
        )
        return self._process

    def _meet(self, link: Link, hello: dict[str, Any]) -> None:
        name = str(hello.get("name"))
        rank = hello.get("rank")
        why = self._misfit(name, hello)
        if why:
            link.send(refused=why)
            self._events.put(("refused", why))
            return
        with self._lock:
            if type(rank) is not int or not 0 < rank < self._nodes or rank in self._members:
                return
            self._members[rank] = link, hello
        with contextlib.suppress(OSError):
            while True:
                self._hear(rank, link.read())
        self._events.put(("lost", name))

    def _misfit(self, name: str, hello: dict[str, Any]) -> str:
        theirs, ours = str(hello.get("version")), self._mpirun.version
        if theirs == ours:
            return ""
        return f"{name} has {theirs}, {platform.node()} has {ours}; all hosts need the same"

    def _serve_agents(self, listener: socket.socket) -> None:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=self._ask, args=(sock,), daemon=True).start()

    def _ask(self, sock: socket.socket) -> None:
        """Have a member run what an agent asks for. The agent is ours: its directory is private."""
        asked = json.loads(sock.makefile("rb").readline())
        ranks = {_name(rank): rank for rank in self._members}
        command = asked["command"]
        rank = ranks.get(asked["node"])
        if rank is None or len(command) > _MOST_COMMAND:
            why = f"genvx: {asked['node']}: no such node, or a command that is too long\n"
            _tell(sock, to=2, data=base64.b64encode(why.encode()).decode())
            _tell(sock, code=255)
            return
        link, hello = self._members[rank]
        with self._lock:
            self._numbers += 1
            number = self._numbers
            self._waiting[rank, number] = sock
            # Under the lock: a member takes no number after a higher one.
            mac = proof(self._secret, _signed(number, command), str(hello["nonce"]))
            link.send(number=number, command=command, proof=mac)

    def _hear(self, rank: int, said: dict[str, Any]) -> None:
        number = said.get("number")
        sock = self._waiting.get((rank, number)) if type(number) is int else None
        if sock is None:
            return
        if "code" in said:
            _tell(sock, code=int(said["code"]) & 0xFF)
            sock.close()
            del self._waiting[rank, number]
        else:
            _tell(sock, to=2 if said.get("to") == 2 else 1, data=str(said.get("data")))


class Member:
    """Another node: it runs what node 0 asks for, until that is gone."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._secret = asked["secret"]
        self._mpirun = Mpirun()
        self._way = Way(asked["id"])
        self._processes: list[subprocess.Popen[bytes]] = []
        self._last = 0

    def run(self) -> int:
        """Join, and run what is asked for; return the exit code."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # mpirun decides, which gets it on node 0
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: signal.alarm(_ORDERLY_WITHIN))
        signal.signal(signal.SIGALRM, self._stop)
        link, nonce = self._join()
        threading.Thread(target=beat, args=(link,), daemon=True).start()
        while True:
            try:
                said = link.read()
            except OSError:
                raise Failure("node 0 is gone", _LOST) from None
            if said.get("refused"):
                raise Failure(str(said["refused"]))
            if said.get("over"):
                return 0
            if "command" in said:
                self._start(link, said, nonce)

    def end(self) -> None:
        """End what was started; the supervisor ends what does not end in time."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self._processes:
                with contextlib.suppress(OSError):
                    os.killpg(process.pid, number)
            limit = time.monotonic() + _END_WITHIN
            for process in self._processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, limit - time.monotonic()))
        self._way.remove()

    @staticmethod
    def _stop(number: int, frame: Any) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    def _join(self) -> tuple[Link, str]:
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        hello = {
            "rank": int(os.environ["NODE_RANK"]),
            "slots": max(1, len(devices())),
            "version": self._mpirun.version,
            "name": platform.node(),
        }
        limit = time.monotonic() + JOIN_WITHIN
        while True:
            try:
                sock = socket.create_connection((address, port), timeout=SILENCE)
                link = Link(sock)
                nonce = greet(link, self._secret, **hello)
                # A machine that vanished is noticed by our own lines.
                sock.settimeout(None)
                return link, nonce
            except OSError as error:
                if time.monotonic() > limit:
                    raise Failure(
                        f"node 0 does not answer at {address} port {port}: {error}; "
                        "--master-addr names another address of it"
                    ) from None
                time.sleep(0.2)

    def _start(self, link: Link, said: dict[str, Any], nonce: str) -> None:
        number, command = said.get("number"), said["command"]
        if type(number) is not int or type(command) is not str:
            raise Failure("node 0 talks otherwise")
        # Each command is proved by itself: who can change packets on the way cannot add one, nor
        # have one run twice.
        proved = proof(self._secret, _signed(number, command), nonce)
        if number <= self._last or not same(str(said.get("proof")), proved):
            raise Failure("a command came that is not node 0's")
        self._last = number
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environ(),
            start_new_session=True,
        )
        self._processes.append(process)

        def pump(to: int, pipe: Any) -> None:
            while True:
                data = pipe.read1(_CHUNK)
                if not data:
                    pipe.close()
                    return
                link.send(number=number, to=to, data=base64.b64encode(data).decode())

        pumps = [
            threading.Thread(target=pump, args=each, daemon=True)
            for each in ((1, process.stdout), (2, process.stderr))
        ]

        def wait() -> None:
            for each in pumps:
                each.join()
            code = process.wait()
            link.send(number=number, code=code if code >= 0 else 128 - code)

        for each in (*pumps, threading.Thread(target=wait, daemon=True)):
            each.start()


def _signed(number: int, command: str) -> str:
    return f"run {number} {command}"


def _tell(sock: socket.socket, **message: Any) -> None:
    # An agent that was killed wants nothing any more.
    with contextlib.suppress(OSError):
        sock.sendall(json.dumps(message).encode() + b"\n")


def _environ() -> dict[str, str]:
    """Our variables, without those by which mpirun would find another allocation of hosts."""
    other = ("SLURM_", "PBS_", "LSB_")
    return {name: value for name, value in os.environ.items() if not name.startswith(other)}


# Of <sys/prctl.h>; loaded here, for nothing may be loaded between fork and exec.
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def _end_with_us() -> None:
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def _below() -> list[int]:
    """All processes that descend from us."""
    parents: dict[int, list[int]] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
            # The name before it may have any bytes, also ")".
            state, parent = file.read().rpartition(b")")[2].split()[:2]
            if state != b"Z":
                parents.setdefault(int(parent), []).append(int(pid))
    found, left = [], [os.getpid()]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return found


def _end_all_below() -> None:
    """Kill what is left: processes of an mpirun or a daemon that was killed are ours then."""
    limit = time.monotonic() + _END_WITHIN
    while time.monotonic() < limit:
        pids = _below()
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def main(words: list[str]) -> int:
    """Be the node that the variables of the job say; return the exit code."""
    asked = json.loads(os.environ.pop("GENVX_CLUSTER_SECRET"))
    node: Head | Member | None = None
    # A run has a supervisor that does this; a command that we hold over SSH has none.
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        node = Head(asked, words) if os.environ["NODE_RANK"] == "0" else Member(asked)
        return node.run()
    except Failure as failure:
        print(f"genvx: {failure}", file=sys.stderr)
        return failure.code
    except OSError as error:
        print(f"genvx: {error}", file=sys.stderr)
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if node is not None:
            node.end()
        _end_all_below()
