"""What all tests share: isolation that cannot be forgotten, and capabilities that are
probed, not assumed.
"""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

import genvx
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import load
from genvx.local.state import paths
from genvx.sandbox import record
from genvx.sandbox import sandbox as rooms
from tests.capabilities import CAPABILITIES, required
from tests.helpers import ROOT, end_all_of, until

# Under load an example may take long, and that is no fault of what it tries.
hypothesis.settings.register_profile("genvx", deadline=None)
hypothesis.settings.load_profile("genvx")


_MOST_DESCRIPTORS = 300
# A directory that cannot be.
_NOWHERE = "/proc/you-forgot-to-choose-a-state-directory"


@pytest.fixture(autouse=True)
def _isolated(monkeypatch, tmp_path):
    """No test sees the user's environment, and none reaches the real state directory."""

    monkeypatch.setattr(paths, "USUAL", paths.Places(provisioned=_NOWHERE, unprovisioned=_NOWHERE))
    for name in list(os.environ):
        if name.startswith(("GENVX_", "CUDA_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GENVX_STATE_DIR", _NOWHERE)  # subprocesses see only this
    monkeypatch.setenv("GENVX_KEEP", "0")  # a keeper would outlive its test
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    for name in ("SSH_AUTH_SOCK", "TMUX", "TMUX_PANE", "STY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TMUX_TMPDIR", "/proc/no-tmux-of-whoever-runs-the-tests")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def _few_descriptors():
    """All tests together leave few descriptors open: a leak of genvx fills the table of a program
    that runs for long. Leases that tests hold until the end are some tens of them.
    """
    yield
    gc.collect()
    links = _links()
    assert len(links) < _MOST_DESCRIPTORS, f"descriptors are left, such as {links[-20:]}"


def pytest_configure(config):
    missing = [name for name in required() if name not in CAPABILITIES or not CAPABILITIES[name]()]
    if missing:
        raise pytest.UsageError(f"required, but not here: {', '.join(missing)}")
    # Whoever started us in the background may have us ignore these, and our children would inherit
    # that.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)
    config.addinivalue_line("markers", "slow: many minutes; scripts/test leaves it out")
    config.addinivalue_line("markers", "needs(name): skipped where the machine lacks a capability")


def pytest_collection_modifyitems(items):
    for item in items:
        for mark in item.iter_markers("needs"):
            for name in mark.args:
                if not CAPABILITIES[name]():
                    item.add_marker(pytest.mark.skip(reason=f"needs {name}"))


# Places


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A private directory with a short path on a local disk, for sockets and sandboxes."""
    path = Path(f"/var/tmp/genvx-test-{os.getpid()}-{secrets.token_hex(4)}")
    path.mkdir(mode=0o700)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def state(short_tmp, monkeypatch) -> Path:
    """A state directory of one's own, with two simulated GPUs, for this process and its
    children.
    """
    directory = short_tmp / "state"
    monkeypatch.setenv("GENVX_STATE_DIR", str(directory))
    monkeypatch.setenv("GENVX_SIMULATE", "2xA100-80GB")
    return directory


# Programs


def run_genvx(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person does, in a process of its own."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("timeout", 60)
    return subprocess.run(
        [sys.executable, "-m", "genvx", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})},
        **options,
    )


@pytest.fixture
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    return run_genvx


# Pretend hosts


@pytest.fixture(scope="session")
def agent_cache() -> Iterator[Path]:
    """The cache of a host that was asked a question, and more: it has both parts of the agent."""
    directory = Path(f"/var/tmp/genvx-cache-{os.getpid()}")
    sandbox = rooms.up(str(directory), ["1"], server="embedded")
    try:
        with connect_fleet(load(sandbox.hostfile), config=sandbox.ssh_config) as fleet:
            fleet.snapshot().values()
            assert fleet.hosts[0].doctor()
        shutil.copytree(directory / "cache", f"{directory}.kept")
    finally:
        rooms.down(str(directory))
    yield Path(f"{directory}.kept")
    shutil.rmtree(f"{directory}.kept")


@pytest.fixture
def make_sandbox(short_tmp, monkeypatch, agent_cache) -> Iterator[Callable[..., record.Sandbox]]:
    """Starts pretend fleets that end with the test, and so do all of their runs.

    unseen: their hosts have no agent yet. To send and unpack it costs a second that few tests need.
    """
    made: list[str] = []

    def make(
        *gpus: str, server: str | None = "openssh", select: bool = True, unseen: bool = False
    ) -> record.Sandbox:
        directory = str(short_tmp / f"sandbox{len(made)}")
        made.append(directory)
        sandbox = rooms.up(directory, gpus, server=server)
        if not unseen:
            shutil.copytree(agent_cache, f"{directory}/cache")
        if select:
            monkeypatch.setenv("GENVX_HOSTFILE", sandbox.hostfile)
            monkeypatch.setenv("GENVX_SSH_CONFIG", sandbox.ssh_config)
        return sandbox

    yield make
    for directory in made:
        if os.path.exists(directory):
            end_all_of(directory)
            rooms.down(directory)


@pytest.fixture
def sandbox(make_sandbox) -> record.Sandbox:
    """gpu-server-1 with one GPU and gpu-server-2 with two."""
    return make_sandbox("1", "2")


@pytest.fixture
def unseen(make_sandbox) -> record.Sandbox:
    """The same hosts as they are before the first question."""
    return make_sandbox("1", "2", unseen=True)


def _links() -> list[str]:
    """What our descriptors are of."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    return links


def _ours() -> tuple[int, int, int]:
    """Our threads, sockets and children."""
    links = _links()
    children = []
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            children += Path(f"/proc/self/task/{task}/children").read_text().split()
    sockets = sum(link.startswith("socket:") for link in links)
    return threading.active_count(), sockets, len(children)


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Fails if a test leaves threads, sockets or processes of ours behind."""
    before = _ours()
    yield
    for number, kind in enumerate(("threads", "sockets", "processes")):
        until(lambda n=number: _ours()[n] <= before[n], f"{kind} are left")


# Several users


@dataclass(frozen=True)
class World:
    """A Python and a copy of the far end that every user of the machine can read."""

    python: str
    path: str

    def command(self, code: str) -> list[str]:
        return [self.python, "-S", "-c", code]

    def environ(self, **more: str) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": self.path,
            "HOME": "/",
            "LANG": "C.UTF-8",
            **more,
        }

    def run(self, uid: int, code: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run code as a user; the result has its output."""
        return subprocess.run(
            self.command(code),
            user=uid,
            group=uid,
            extra_groups=[],
            env=self.environ(**more),
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
        )

    def start(self, uid: int, code: str, **more: str) -> subprocess.Popen[str]:
        """Start code as a user, with pipes to talk to it."""
        return subprocess.Popen(
            self.command(code),
            user=uid,
            group=uid,
            extra_groups=[],
            env=self.environ(**more),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    from tests.capabilities import world_python

    path = Path(f"/var/tmp/genvx-world-{os.getpid()}")
    path.mkdir(mode=0o755)
    package = Path(genvx.__file__).parent
    shutil.copytree(package, path / "genvx", ignore=shutil.ignore_patterns("__pycache__"))
    libraries = Path(sysconfig.get_paths()["purelib"])
    shutil.copy(libraries / "pynvml.py", path)
    shutil.copytree(
        libraries / "filelock", path / "filelock", ignore=shutil.ignore_patterns("__pycache__")
    )
    python = world_python() or sys.executable
    # Otherwise each process compiles anew what it loads: those users may not write there.
    loaded = (
        "genvx/core",
        "genvx/local",
        "genvx/shell",
        "genvx/errors.py",
        "filelock",
        "pynvml.py",
    )
    subprocess.run(
        [python, "-m", "compileall", "-q", *(path / name for name in loaded)], check=True
    )
    subprocess.run(["chmod", "-R", "a+rX", str(path)], check=True)
    yield World(python, str(path))
    shutil.rmtree(path)


@pytest.fixture
def shared_state() -> Iterator[Path]:
    """A state directory as `genvx admin provision` makes it, but elsewhere. Needs root."""
    root = Path(f"/var/tmp/genvx-shared-{os.getpid()}-{secrets.token_hex(4)}")
    root.mkdir(mode=0o755)
    (root / "leases").mkdir()
    (root / "leases").chmod(0o1777)
    (root / "acquire.lock").touch()
    (root / "acquire.lock").chmod(0o666)
    yield root
    shutil.rmtree(root)
