"""mpirun over the hosts of a gang: the program on each of them.

mpirun starts a daemon of its own on each host, by ssh. Here it starts them by a small program of
ours instead (`AGENT` in mpirun.py), which hands the command to node 0's part of this program, and
that to the part on the host, which has been waiting for it. So no host logs in to another one, each
daemon has the variables and GPUs of its host's lease, and it ends with that lease.

The text of this module travels as that of a cluster does (node.py). It runs with Python 3.9.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import platform
import queue
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from genvx.engines.onhost.below import adopt, end_all_below, end_with
from genvx.engines.onhost.life import Failure, live
from genvx.engines.onhost.link import JOIN_WITHIN, Link, beat, join, serve
from genvx.engines.onhost.mpirun import AGENT, Mpirun, Way, environment, node_name
from genvx.engines.onhost.place import Scratch, devices, loopback

# Seconds. A member that is to end waits so long for the end of mpirun, which then ends in order.
_ORDERLY_WITHIN = 4
_END_WITHIN = 3.0
_LOST = 70
_CHUNK = 16 * 1024
# Of a command as it is sent: a line of a link has twice as much at most.
_MOST_COMMAND = 32 * 1024
_MOST_SLOTS = 4096


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
        slots = {rank: hello["slots"] for rank, (_, hello) in self._members.items()}
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
        words = [sys.executable, "-I", "-S", self._scratch.write("agent.py", AGENT)]
        text = shlex.join([*words, f"{place}.sock"])
        self._scratch.write("agent", f'exec {text} "$@"\n')
        environ = {**environment(), **self._mpirun.variables(place, hosts)}
        command = [*self._mpirun.words(address, hosts, self._way.path), *self._words]
        us = os.getpid()
        # In a session of its own: a signal for our group comes to it once, from us.
        self._process = subprocess.Popen(
            command, env=environ, start_new_session=True, preexec_fn=lambda: end_with(us)
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
            slots = hello.get("slots")
            if type(slots) is not int or not 0 < slots <= _MOST_SLOTS:
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
        try:
            asked = json.loads(sock.makefile("rb").readline())
        except ValueError:
            return  # it was killed before it had asked
        ranks = {node_name(rank): rank for rank in self._members}
        command = asked["command"]
        rank = ranks.get(asked["node"])
        if rank is None or len(json.dumps(command)) > _MOST_COMMAND:
            why = f"genvx: {asked['node']}: no such node, or a command that is too long\n"
            _tell(sock, to=2, data=base64.b64encode(why.encode()).decode())
            _tell(sock, code=255)
            return
        with self._lock:
            self._numbers += 1
            number = self._numbers
            self._waiting[rank, number] = sock
        self._members[rank][0].send(number=number, command=command)

    def _hear(self, rank: int, said: dict[str, Any]) -> None:
        number = said.get("number")
        if type(number) is not int or (rank, number) not in self._waiting:
            return
        sock = self._waiting[rank, number]
        code, data = said.get("code"), said.get("data")
        if type(code) is int:
            _tell(sock, code=code & 0xFF)
            sock.close()
            self._waiting.pop((rank, number), None)
        elif type(data) is str:
            _tell(sock, to=2 if said.get("to") == 2 else 1, data=data)


class Member:
    """Another node: it runs what node 0 asks for, until that is gone."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._secret = asked["secret"]
        self._mpirun = Mpirun()
        self._way = Way(asked["id"])
        self._processes: list[subprocess.Popen[bytes]] = []

    def run(self) -> int:
        """Join, and run what is asked for; return the exit code."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # mpirun decides, which gets it on node 0
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: signal.alarm(_ORDERLY_WITHIN))
        signal.signal(signal.SIGALRM, self._stop)
        link = self._join()
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
                self._start(link, said)

    def end(self) -> None:
        """End what was started; what does not end in time, or was left by it, is ended later."""
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self._processes:
                # The number of one that has ended may be another process's by now.
                if process.poll() is None:
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

    def _join(self) -> Link:
        link = join(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            self._secret,
            rank=int(os.environ["NODE_RANK"]),
            slots=max(1, len(devices())),
            version=self._mpirun.version,
            name=platform.node(),
        )
        # A machine that vanished is noticed by our own lines.
        link.sock.settimeout(None)
        return link

    def _start(self, link: Link, said: dict[str, Any]) -> None:
        number, command = said.get("number"), said["command"]
        if type(number) is not int or type(command) is not str:
            raise Failure("node 0 does not speak the protocol of genvx")
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
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


def _tell(sock: socket.socket, **message: Any) -> None:
    # An agent that was killed wants nothing any more.
    with contextlib.suppress(OSError):
        sock.sendall(json.dumps(message).encode() + b"\n")


def main(words: list[str]) -> int:
    """Be the node that the variables of the job say, and end all that is left of it; return the
    exit code.
    """
    # A run has a supervisor that does this; a command that we hold over SSH has none.
    adopt()
    guard = os.getpid()
    pid = os.fork()
    if not pid:
        end_with(guard)
        adopt()
        try:
            return live(lambda asked: _node(asked, words), "genvx: ")
        finally:
            end_all_below()

    def pass_on(number: int, frame: Any) -> None:
        os.kill(pid, number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    _, status = os.waitpid(pid, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_all_below()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _node(asked: dict[str, Any], words: list[str]) -> Head | Member:
    return Head(asked, words) if os.environ["NODE_RANK"] == "0" else Member(asked)
