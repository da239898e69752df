"""Where figures are tried: state directories as administrators make them, several users, and file
systems of one's own.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
from torture.users import free_uids

*USERS, STRANGER = free_uids(5)

SIMULATED = "8xA100-80GB"

_INSIDE = "TORTURE_INSIDE"


def root() -> bool:
    return os.geteuid() == 0


def enter() -> None:
    """Go on in namespaces of our own: what is mounted, and every process that is started, is gone
    with us. Without root there is nothing to mount.
    """
    if os.environ.get(_INSIDE) or not root() or shutil.which("unshare") is None:
        return
    spaces = ("--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
    command = ["unshare", *spaces, sys.executable, "-m", "torture", *sys.argv[1:]]
    os.environ[_INSIDE] = "1"
    if subprocess.run(["unshare", *spaces, "true"], stderr=subprocess.DEVNULL).returncode == 0:
        os.execvp("unshare", command)


def inside() -> bool:
    return bool(os.environ.get(_INSIDE))


def provisioned(path: Path) -> dict[str, str]:
    """A state directory as `genvx admin provision` makes it; the variables that choose it."""
    (path / "leases").mkdir(parents=True)
    for directory, mode in ((path, 0o755), (path / "leases", 0o1777 if root() else 0o755)):
        directory.chmod(mode)
    (path / "acquire.lock").touch()
    (path / "acquire.lock").chmod(0o666)
    return {"GENVX_STATE_DIR": str(path), "GENVX_SIMULATE": SIMULATED}


def unprovisioned(path: Path) -> dict[str, str]:
    """A state directory like /var/tmp: everybody's, and sticky."""
    path.mkdir(parents=True)
    path.chmod(0o1777)
    return {"GENVX_STATE_DIR": str(path), "GENVX_SIMULATE": SIMULATED}


def open_to_all(path: Path) -> Path:
    """A directory into which every user may write."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o1777)
    return path


def command_environ(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a genvx command that is this very package, mutated or not."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GENVX_", "CUDA_", "SSH_")) and name != _INSIDE
    }
    here = str(Path(__file__).parent.parent)
    usual = {"PYTHONPATH": here, "PYTHONDONTWRITEBYTECODE": "1", "GENVX_KEEP": "0"}
    return {**kept, **usual, **variables}


def preloaded(name: str, place: Path) -> Path:
    """A library of this directory's, compiled, for LD_PRELOAD."""
    library = place / f"{name}.so"
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return library


def genvx(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "genvx", *arguments]


def warm(place: Path) -> None:
    """Load everything that an acquire and a shell load: a process that has become another user may
    not be able to read it any more, where it lies in a private home.
    """
    import genvx.local.running.windows  # noqa: F401
    from genvx.shell.startup import files

    files("/bin/bash", str(place))
    host = LocalHost(environ=provisioned(place / "warm"))
    (place / "warm" / "policy.toml").write_text('[limits]\ntime = "1h"\n')
    host.join(host.acquire(Ask(Requirements(1))).grant.environment_id).release()
    attached = host.acquire(Ask(Requirements(1))).grant.environment_id
    host.attach(attached, Requirements(1))
    host.detach(attached)
    host.release(attached)
    host.snapshot()
    host.close()


def fork(act: Callable[[], object], uid: int | None = None) -> int:
    """Run `act` in a process of its own, as a user; return its pid.

    A process that shares our imports: at the rate at which the figures kill them, starting Python
    anew would be all that is measured. 3 is the exit code of one that raised.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 3
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        if uid is not None and uid != os.geteuid():
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        act()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def kill(pid: int) -> None:
    """End a child of ours and collect it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def many_descriptors() -> None:
    """The oracle's descriptors are high on purpose."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextlib.contextmanager
def mounted(kind: str, directory: Path, megabytes: int, options: str = "") -> Iterator[Path]:
    """A file system of one's own on `directory`; "here" is the one that is there already."""
    directory.mkdir(parents=True, exist_ok=True)
    if kind == "here":
        yield directory
        return
    image = directory.with_name(f"{directory.name}.{kind}")
    if kind == "tmpfs":
        source, more = "tmpfs", [f"size={megabytes}m", "mode=755"]
    else:
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        force = "-F" if kind == "ext4" else "-f"
        subprocess.run([f"mkfs.{kind}", "-q", force, image], check=True, capture_output=True)
        source, more = str(image), ["loop"]
    more += [options] if options else []
    subprocess.run(["mount", "-t", kind, "-o", ",".join(more), source, directory], check=True)
    try:
        directory.chmod(0o755)
        yield directory
    finally:
        subprocess.run(["umount", "-l", directory], check=True)
        image.unlink(missing_ok=True)
