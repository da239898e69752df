"""Projects on their way: a host behind a real sshd, what is pushed to it, and what is pulled."""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import Moment, RunSpec
from genvx.core.wire.treeoperations import PullRun
from genvx.errors import GenvxError
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts import hostfile
from genvx.fleet.sshhost import SSHHost
from genvx.local.runs.launch import submit
from genvx.local.trees.copying import copy
from genvx.local.trees.landing import Landing
from genvx.local.trees.project import Gathered, LocalProject
from genvx.local.trees.store import TreeStore, trees_root
from genvx.sandbox import sandbox as rooms
from torture import ground
from torture.trial import until
from torture.truth import Home

Counted = Callable[[int, int], object]


def nothing(done: int, total: int) -> None:
    pass


class Journeys:
    """A host of a sandbox, and ways to it. place: an empty directory."""

    def __init__(self, place: Path) -> None:
        self.environ = {"HOME": str(place / "client")}
        self._sandbox = rooms.up(str(place / "sandbox"), ["1"])
        (there,) = self._sandbox.hosts
        self.port = there.port
        variables = there.variables(self._sandbox.directory)
        home = Path(there.home)
        self.home = Home(Path(there.directory), variables, home / ".local/share/genvx/runs")
        self.store = TreeStore(trees_root({**variables, "HOME": there.home}))

    def end(self) -> None:
        self.home.end_all()
        rooms.down(self._sandbox.directory)

    @contextlib.contextmanager
    def host(self, port: int | None = None) -> Iterator[SSHHost]:
        """The host over a connection of its own. port: of what stands in between."""
        config = Path(self._sandbox.ssh_config)
        text = config.read_text()
        config.write_text(text.replace(f"Port {self.port}\n", f"Port {port or self.port}\n"))
        fleet = connect_fleet(
            hostfile.load(self._sandbox.hostfile), config=self._sandbox.ssh_config, timeout=60.0
        )
        try:
            (host,) = fleet.hosts
            yield host
        finally:
            fleet.close()
            config.write_text(text)

    def gathered(self, directory: Path) -> LocalProject:
        return Gathered(str(directory)).read(self.environ)

    def copied(self, tree: str, target: Path) -> Path:
        """A copy of a tree that is on the host, as a run has it."""
        target.mkdir()
        descriptor = os.open(target, os.O_RDONLY)
        try:
            with self.store.open(tree) as stored:
                for _ in copy(stored, descriptor):
                    pass
        finally:
            os.close(descriptor)
        return target

    def started(self, project: LocalProject) -> str:
        """A run that is over, with a copy of a project that is on the host."""
        run = os.urandom(4).hex()
        argv, recorded = ("true",), project.recorded
        spec = RunSpec(run, argv, Requirements(0), "", "", Moment(0, 0), project=recorded)

        def act() -> None:
            with self.home.host() as host:
                submit(host, spec, fork=True)

        os.waitpid(ground.fork(act), 0)
        if not until(lambda: self.home.shown()[run].state == "completed"):
            raise SystemExit(f"the run never succeeds: {self.home.shown()[run]}")
        return run

    def pulled(
        self, host: SSHHost, run: str, target: Path, got: Counted = nothing
    ) -> tuple[int, int]:
        """Pull all files of a run; return how many bytes came, and how many files are new."""
        came = 0

        def count(done: int, total: int) -> None:
            nonlocal came
            came = done
            got(done, total)

        asked = PullRun(run, everything=True, bare=True)
        with Landing(str(target), self.environ) as landing:
            _, landed = host.pull(asked, landing, count)
        return came, landed.changed


class Cutter:
    """Passes bytes on to a port, and cuts each connection after some bytes in both directions."""

    def __init__(self, port: int, most: int, chance: random.Random) -> None:
        self._server = ("127.0.0.1", port)
        self._most = most
        self._chance = chance
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server, contextlib.suppress(OSError):
            allowed = self._chance.randrange(self._most)
            while allowed > 0:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(min(65536, allowed))
                    if not data:
                        return
                    allowed -= len(data)
                    (client if ready is server else server).sendall(data)


def refusal(act: Callable[[], object]) -> GenvxError | None:
    """The error of genvx with which something ended."""
    try:
        act()
    except GenvxError as error:
        return error
    return None


def rsync_finds(wanted: Path, got: Path) -> list[str]:
    """What rsync finds different between two trees; nothing where it is not installed."""
    command = ["rsync", "-ainc", "--delete", f"{wanted}/", f"{got}/"]
    try:
        found = subprocess.run(command, capture_output=True, check=True)
    except FileNotFoundError:
        return []
    lines = found.stdout.decode("utf-8", "replace").splitlines()
    # The directory itself is nobody's file.
    return [line for line in lines if not line.endswith(" ./")]
