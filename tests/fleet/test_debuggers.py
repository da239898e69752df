"""Debuggers of Python reach programs in runs, and programs reach debuggers here.

The client speaks the Debug Adapter Protocol, as VS Code does. PyCharm's pydevd has the program
connect, as `debugpy --connect` does.
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import load
from tests.helpers import PATIENCE, until

pytestmark = pytest.mark.needs("openssh")

PROGRAM = """\
def double(number):
    doubled = number * 2
    return doubled

print("doubled", double(21), flush=True)
"""
STOPS_AT = 3


class Debugger:
    """A client of the Debug Adapter Protocol, for one program."""

    def __init__(self, read: BinaryIO, write: Callable[[bytes], object]) -> None:
        self._read = read
        self._write = write
        self._count = 0
        self._early: list[dict[str, Any]] = []

    def ask(self, command: str, **arguments: Any) -> int:
        """Send a request; return its number."""
        self._count += 1
        request = {"seq": self._count, "type": "request", "command": command}
        body = json.dumps({**request, "arguments": arguments}).encode()
        self._write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        return self._count

    def answer(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a request, and return what is answered."""
        number = self.ask(command, **arguments)
        found = self._await(lambda message: message.get("request_seq") == number)
        assert found["success"], found
        return dict(found.get("body") or {})

    def event(self, name: str) -> dict[str, Any]:
        """Wait for an event."""
        found = self._await(lambda message: message.get("event") == name)
        return dict(found.get("body") or {})

    def _await(self, fits) -> dict[str, Any]:
        for message in self._early:
            if fits(message):
                self._early.remove(message)
                return message
        while not fits(message := self._next()):
            self._early.append(message)
        return message

    def _next(self) -> dict[str, Any]:
        size = 0
        while (line := self._read.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name == b"Content-Length":
                size = int(value)
        if not size:
            raise ConnectionError("the debugger has hung up")
        return dict(json.loads(self._read.read(size)))

    def introduce(self) -> None:
        self.answer("initialize", clientID="test", adapterID="debugpy", linesStartAt1=True)

    def stop_and_go_on(self, path: Path) -> None:
        """Stop at the breakpoint, read a variable, and let the program go on to its end."""
        self.event("initialized")
        breakpoints = [{"line": STOPS_AT}]
        set_there = self.answer(
            "setBreakpoints", source={"path": str(path)}, breakpoints=breakpoints
        )
        assert [each["line"] for each in set_there["breakpoints"]] == [STOPS_AT]
        self.answer("configurationDone")
        stopped = self.event("stopped")
        assert stopped["reason"] == "breakpoint"
        frame = self.answer("stackTrace", threadId=stopped["threadId"])["stackFrames"][0]
        assert (frame["name"], frame["line"]) == ("double", STOPS_AT)
        scope = self.answer("scopes", frameId=frame["id"])["scopes"][0]
        found = self.answer("variables", variablesReference=scope["variablesReference"])
        values = {each["name"]: each["value"] for each in found["variables"]}
        assert (values["number"], values["doubled"]) == ("21", "42")
        self.answer("continue", threadId=stopped["threadId"])
        self.event("terminated")


@pytest.fixture
def fleet(make_sandbox):
    sandbox = make_sandbox("1")
    with connect_fleet(load(sandbox.hostfile), config=sandbox.ssh_config) as fleet:
        yield fleet


@pytest.fixture
def program(short_tmp) -> Path:
    path = Path(short_tmp / "program.py")
    path.write_text(PROGRAM)
    return path


@contextlib.contextmanager
def running(fleet, line: str) -> Iterator[Any]:
    run = fleet.run(line, gpus=1, detach=True)
    try:
        yield run
    finally:
        run.stop(force=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def debugpy(how: str, port: int, program: Path) -> str:
    """A line for sh that runs the program under debugpy."""
    python = f"exec {sys.executable} -Xfrozen_modules=off -m debugpy"
    return f"{python} {how} 127.0.0.1:{port} --wait-for-client {program}"


def test_a_debugger_attaches_to_a_program_in_a_run(nothing_left, fleet, program):
    port = free_port()
    with (
        running(fleet, debugpy("--listen", port, program)) as run,
        run.tunnel(port, free_port()) as tunnel,
        contextlib.ExitStack() as stack,
    ):

        def connected() -> Debugger | None:
            """A client that is answered.

            Before debugpy listens, the tunnel hangs up on us, even while we connect.
            """
            with contextlib.suppress(ConnectionError):
                sock = stack.enter_context(
                    socket.create_connection(("127.0.0.1", tunnel.port), timeout=PATIENCE)
                )
                file = stack.enter_context(sock.makefile("rb"))
                debugger = Debugger(file, sock.sendall)
                debugger.introduce()
                return debugger
            return None

        debugger: Any = until(connected, "debugpy listens")
        debugger.ask("attach", connect={"host": "127.0.0.1", "port": port})
        debugger.stop_and_go_on(program)
        assert run.wait(PATIENCE) == 0
        assert b"doubled 42\n" in run.log()


def test_a_program_in_a_run_connects_to_a_debugger_here(nothing_left, fleet, program, short_tmp):
    port, here, go = free_port(), free_port(), short_tmp / "go"
    line = f"until [ -e {go} ]; do sleep 0.05; done; {debugpy('--connect', port, program)}"
    adapter = subprocess.Popen(
        [sys.executable, "-m", "debugpy.adapter"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert adapter.stdin is not None
    assert adapter.stdout is not None
    try:
        with running(fleet, line) as run, run.tunnel(port, here, reverse=True):
            debugger = Debugger(io.BufferedReader(adapter.stdout), adapter.stdin.write)
            debugger.introduce()
            debugger.ask("attach", listen={"host": "127.0.0.1", "port": here})
            debugger.event("debugpyWaitingForServer")
            go.touch()
            debugger.stop_and_go_on(program)
            assert run.wait(PATIENCE) == 0
    finally:
        adapter.kill()
        adapter.communicate()
