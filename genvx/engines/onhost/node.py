"""The program on each node of a cluster: it starts the part of an engine, and ends it.

It travels as text, and runs in the Python of the run, which may be 3.9, with the modules beside it
and the standard library. It is the command of a run, so the supervisor of the run ends all that it
leaves behind, also if it is killed.

Node 0 has the head of the engine. The others keep a link to it: there they hear where the head is,
and its end is the end of the cluster. A client that holds the cluster keeps such a link, too.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from genvx.engines.onhost.engines import Dask, Engine, Ray
from genvx.engines.onhost.life import MISSING, NO_COMMAND, Failure, live
from genvx.engines.onhost.link import Link, beat, join, serve
from genvx.engines.onhost.place import Scratch, devices, own_address, strangers_on

# Seconds. Raylets take 10 s to start on a busy machine; a slow disk makes that minutes.
START_WITHIN = 180.0
# How long a cluster goes on without its client, whose connection may have been cut.
CLIENT_WITHIN = 15.0
FIRST_CLIENT_WITHIN = 120.0
# Less than the grace of a run, after which it is killed, too. Ray drains for 5 s.
_END_WITHIN = 8.0
_WHO_WAS_FIRST = 1.0
_TELL_WITHIN = 10.0
_TAIL = 12
_LOOPBACK = "127.0.0.1"
_ENGINE_DIED = 70


class Node:
    """One node, from its start to its end. asked: what the client says of the cluster."""

    def __init__(self, asked: dict[str, Any], kind: type[Engine], command: list[str]) -> None:
        self.asked = asked
        self.kind = kind
        self.command = command
        self.rank = int(os.environ.get("NODE_RANK", "0"))
        self.nodes = int(os.environ.get("NNODES", "1"))
        self.scratch = Scratch(asked["id"], asked.get("rank", self.rank))
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.version = kind.version()
        self.python = "{}.{}".format(*sys.version_info)

    def start(self, name: str, command: list[str], engine: Engine) -> None:
        """Start a process of the engine; its output goes to a file, and its end is an event."""
        path = engine.scratch.write(f"{name}.log", "")
        with open(path, "ab") as file:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=engine.environ
            )
        self.processes.append(process)

        def wait() -> None:
            self.events.put(("died", (name, process.wait(), path)))

        threading.Thread(target=wait, daemon=True).start()

    def died(self, what: tuple[str, int, str]) -> Failure:
        """What is told of a process of the engine that has ended; prints the end of its output."""
        name, code, path = what
        with contextlib.suppress(OSError), open(path, errors="replace") as file:
            for line in file.read().splitlines()[-_TAIL:]:
                print(line, file=sys.stderr)
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return Failure(f"{self.kind.title}'s {name} has ended {how}", _ENGINE_DIED)

    def end(self) -> None:
        """End what was started; what does not end in time is left to the supervisor."""
        for process in self.processes:
            with contextlib.suppress(OSError):
                process.terminate()
        limit = time.monotonic() + _END_WITHIN
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, limit - time.monotonic()))
        self.scratch.remove()


class Member(Node):
    """A node that joins node 0."""

    def run(self) -> int:
        """Join, and be there until node 0 is gone; return the exit code."""
        address, port = self.asked.get("head") or [
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
        ]
        mine = {"name": platform.node(), "version": self.version, "python": self.python}
        link = join(address, port, self.asked["secret"], kind="node", **mine)
        # The head may take its time to start, and says nothing until then.
        link.sock.settimeout(START_WITHIN)
        head = link.read()
        if head.get("refused"):
            raise Failure(str(head["refused"]))
        if head.get("over"):
            return 0  # it could not start, and says why
        engine = self.kind(self.asked, own_address(address, self.rank, link), self.scratch)
        engine.head = head["head"]
        for number, command in enumerate(engine.start_member()):
            self.start(f"worker {number}" if number else "worker", command, engine)
        threading.Thread(target=beat, args=(link,), daemon=True).start()
        threading.Thread(target=self._listen, args=(link,), daemon=True).start()
        what, which = self.events.get()
        if what == "died":
            # The end of node 0 also ends our workers, and then it is the reason.
            with contextlib.suppress(queue.Empty):
                if self.events.get(timeout=_WHO_WAS_FIRST)[0] == "over":
                    return 0
            raise self.died(which)
        return 0

    def _listen(self, link: Link) -> None:
        # A machine that vanished is noticed by our own lines.
        link.sock.settimeout(None)
        with contextlib.suppress(OSError):
            while not link.read().get("over"):
                pass
        self.events.put(("over", None))


class Head(Node):
    """Node 0: the head of the engine, the command, and the links of all others."""

    def __init__(self, asked: dict[str, Any], kind: type[Engine], command: list[str]) -> None:
        super().__init__(asked, kind, command)
        self._clients: set[Link] = set()
        self._members: set[Link] = set()
        self._alone_since = time.monotonic() + FIRST_CLIENT_WITHIN - CLIENT_WITHIN
        self._up = threading.Event()
        self._lost, self._lost_since = "", math.inf
        self._ready: dict[str, Any] = {}

    def run(self) -> int:
        """Start all, run the command, or wait; return the exit code."""
        # Before the engine starts, which takes a while.
        if self.command and shutil.which(self.command[0]) is None:
            raise Failure(f"{NO_COMMAND}{self.command[0]}", MISSING)
        address = own_address(os.environ["MASTER_ADDR"], self.rank, None)
        self.engine = self.kind(self.asked, address, self.scratch)
        serve(int(os.environ["MASTER_PORT"]), self.asked["secret"], self._meet)
        for number, command in enumerate(self.engine.start_head()):
            self.start(f"worker {number}" if number else "head", command, self.engine)
        self._wait_for(self.kind.title, self.engine.address, self.engine.port)
        self._up.set()
        if self.asked["workers"]:
            self._probe()
        else:
            self._announce({"nodes": 1, "gpus": 0})
        process = None
        while True:
            what, which = self._heed(1.0)
            if what == "probed":
                self._announce(which)
                if self.command:
                    process = self._command()
            if what == "ended":
                assert process is not None
                return int(which) if which >= 0 else 128 - which

    def _heed(self, seconds: float) -> tuple[str, Any]:
        """Wait for an event; one that is the end of the cluster is a Failure."""
        try:
            what, which = self.events.get(timeout=seconds)
        except queue.Empty:
            what, which = "", None
        now = time.monotonic()
        if what == "died":
            raise self.died(which)
        if what == "refused":
            raise Failure(which)
        if what == "lost" and self.asked["workers"] and not self._lost:
            # It tells why by its own end, which ends all, if it can still tell.
            self._lost, self._lost_since = which, now
        if self._lost and now > self._lost_since + _TELL_WITHIN:
            raise Failure(f"{self._lost} is gone", _ENGINE_DIED)
        if self.asked["attended"] and not self._clients and now > self._alone_since + CLIENT_WITHIN:
            raise Failure("the client of this cluster is gone", 0)
        return what, which

    def end(self) -> None:
        """End all: the others first, so that none takes the end of ours for a failure."""
        for link in list(self._members):
            link.send(over=True)
        super().end()

    def _meet(self, link: Link, hello: dict[str, Any]) -> None:
        if hello.get("kind") == "client":
            self._attend(link)
        else:
            self._admit(link, hello)

    def _attend(self, link: Link) -> None:
        self._clients.add(link)
        if self._ready:
            link.send(**self._ready)
        with contextlib.suppress(OSError):
            while True:
                link.read()
        self._alone_since = time.monotonic()
        self._clients.discard(link)

    def _admit(self, link: Link, hello: dict[str, Any]) -> None:
        name = str(hello.get("name"))
        why = self._misfit(name, hello)
        if why:
            link.send(refused=why)
            if self.asked["workers"]:
                self.events.put(("refused", why))
            return
        self._members.add(link)
        if not self._up.wait(START_WITHIN):
            return
        link.send(head=self.engine.head)
        with contextlib.suppress(OSError):
            while True:
                link.read()
        self._members.discard(link)
        self.events.put(("lost", name))

    def _misfit(self, name: str, hello: dict[str, Any]) -> str:
        ours = (self.version, self.python)
        theirs = (str(hello.get("version")), str(hello.get("python")))
        if ours == theirs:
            return ""
        title, here = self.kind.title, platform.node()
        return (
            f"{name} has {title} {theirs[0]} with Python {theirs[1]}, {here} has {title} {ours[0]} "
            f"with Python {ours[1]}; all nodes need the same"
        )

    def _wait_for(self, who: str, address: str, port: int) -> None:
        """Wait until a part of the engine listens. Nobody is told of a port that a stranger has."""
        limit = time.monotonic() + START_WITHIN
        while time.monotonic() < limit:
            self._heed(0.1)
            with contextlib.suppress(OSError):
                socket.create_connection((address, port), 5.0).close()
                strangers = strangers_on(port)
                if strangers:
                    raise Failure(f"another user, uid {min(strangers)}, has taken port {port} here")
                return
        raise Failure(f"{who} does not answer on port {port} after {START_WITHIN:g} s")

    def _probe(self) -> None:
        """Ask the engine from time to time whether all are there: as a program of people would."""
        wanted = self.nodes if self.kind is Ray else self.nodes * max(1, len(devices()))
        environ = {**self.engine.environ, **self.engine.variables()}
        command = [sys.executable, "-c", self.kind.probe, str(wanted), self.engine.address]

        def ask() -> None:
            limit, said = time.monotonic() + START_WITHIN, b""
            while time.monotonic() < limit:
                try:
                    with subprocess.Popen(
                        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
                    ) as asking:
                        try:
                            out, said = asking.communicate(timeout=limit - time.monotonic())
                        except subprocess.TimeoutExpired:
                            asking.kill()
                            break
                    if asking.returncode == 0:
                        self.events.put(("probed", json.loads(out.splitlines()[-1])))
                        return
                except (OSError, ValueError, IndexError):
                    pass
                time.sleep(0.5)
            for line in said.decode(errors="replace").splitlines()[-_TAIL:]:
                print(line, file=sys.stderr)
            self.events.put(("refused", f"not all nodes are there after {START_WITHIN:g} s"))

        threading.Thread(target=ask, daemon=True).start()

    def _announce(self, found: dict[str, Any]) -> None:
        head = self.engine.head
        if head["client"] and not self.command:
            # Ray's is up after Ray is: a program that comes before would give up.
            self._wait_for(f"{self.kind.title}'s server for clients", _LOOPBACK, head["client"])
        if head["dashboard"] and strangers_on(head["dashboard"]):
            head["dashboard"] = 0  # it would ask people for Ray's token
        shown = "".join(
            f"export {name}='{value}'\n" for name, value in self.engine.variables().items()
        )
        self._ready = {
            "ready": {
                "version": self.version,
                "python": self.python,
                "env": self.scratch.write("env", shown),
                **head,
                **found,
            }
        }
        for link in list(self._clients):
            link.send(**self._ready)

    def _command(self) -> subprocess.Popen[bytes]:
        environ = {**os.environ, **self.engine.variables()}
        try:
            process = subprocess.Popen(self.command, env=environ)
        except OSError as error:
            raise Failure(f"cannot run {self.command[0]}: {error.strerror}", 127) from None
        self.processes.append(process)
        threading.Thread(
            target=lambda: self.events.put(("ended", process.wait())), daemon=True
        ).start()
        return process


def main(words: list[str]) -> int:
    """Be the node that the variables of the run say; return the exit code."""

    def stop(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    kind: type[Engine] = Ray if words[0] == "ray" else Dask

    def start(asked: dict[str, Any]) -> Head | Member:
        joins = bool(asked.get("head")) or os.environ.get("NODE_RANK", "0") != "0"
        return (Member if joins else Head)(asked, kind, words[2:])

    return live(start, "genvx cluster: ")
