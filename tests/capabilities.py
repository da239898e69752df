"""What this machine can do. Skips are keyed on these, never on the name of a platform."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable

from torture.users import free_uids

USER_A, USER_B, USER_C = free_uids(3)


def _readable_by_all(executable: str) -> bool:
    try:
        answer = subprocess.run(
            [executable, "-S", "-c", "import json, sys; print(sys.version_info >= (3, 9))"],
            user=USER_A,
            group=USER_A,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
        )
    except OSError:
        return False
    return answer.stdout.strip() == "True"


@functools.cache
def world_python() -> str | None:
    """A Python that other users can run: ours may lie below a private home."""
    for candidate in (
        os.path.realpath(sys.executable),
        "/usr/bin/python3",
        "/usr/local/bin/python3",
    ):
        if os.path.exists(candidate) and _readable_by_all(candidate):
            return candidate
    return None


@functools.cache
def old_pythons() -> tuple[str, ...]:
    """Interpreters other than ours, one of each minor version from 3.9."""
    found = {}
    homes = (
        [
            os.path.join(os.path.expanduser("~/.pyenv/versions"), name, "bin")
            for name in sorted(os.listdir(os.path.expanduser("~/.pyenv/versions")))
        ]
        if os.path.isdir(os.path.expanduser("~/.pyenv/versions"))
        else []
    )
    for minor in range(9, 20):
        if minor == sys.version_info.minor:
            continue
        for home in [*homes, *os.environ.get("PATH", "").split(":")]:
            candidate = os.path.join(home, f"python3.{minor}")
            if os.path.isfile(candidate) and _runs(candidate, minor):
                found[minor] = candidate
                break
    return tuple(found.values())


def _runs(candidate: str, minor: int) -> bool:
    code = "import sys; print(sys.version_info[1])"
    answer = subprocess.run([candidate, "-S", "-c", code], capture_output=True, text=True)
    return answer.stdout.strip() == str(minor)


def _has(program: str) -> Callable[[], bool]:
    return lambda: shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is not None


CAPABILITIES: dict[str, Callable[[], bool]] = {
    "openssh": lambda: _has("sshd")() and _has("ssh")(),
    "dropbear": lambda: _has("dropbear")() and _has("dropbearkey")(),
    "uids": lambda: os.geteuid() == 0 and world_python() is not None,
    "root": lambda: os.geteuid() == 0,
    "namespaces": lambda: _has_namespaces(),
    "fuse": lambda: _has_namespaces() and os.access("/dev/fuse", os.R_OK | os.W_OK),
    "cables": lambda: _has("ip")() and _has_namespaces("--net"),
    "cc": _has("cc"),
    "browser": lambda: _has("chromium")() and _has("chromedriver")(),
    "prometheus": lambda: _has("prometheus")() and _has("promtool")(),
    "strace": _has("strace"),
    "systemd-analyze": _has("systemd-analyze"),
    "torch": lambda: importlib.util.find_spec("torch") is not None,
    # As Debian names them; where both are, mpirun is Open MPI's.
    "openmpi": _has("mpirun.openmpi"),
    "mpich": _has("mpirun.mpich"),
    # scripts/test --engines installs it.
    "ray": lambda: importlib.util.find_spec("ray") is not None,
    "pythons": lambda: bool(old_pythons()),
    "git": _has("git"),
    "bash": _has("bash"),
    "zsh": _has("zsh"),
    "tmux": _has("tmux"),
    "fish": _has("fish"),
    "tcsh": _has("tcsh"),
    "dash": _has("dash"),
    "slurm": lambda: all(_has(each)() for each in ("slurmctld", "slurmd", "munged", "srun")),
    "podman": lambda: _has_podman(),
}


def _has_namespaces(*kinds: str) -> bool:
    """Whether a test may have mounts and pids (or other kinds) of its own; containers often forbid
    it.
    """
    wanted = kinds or ("--mount", "--pid")
    try:
        return subprocess.run(["unshare", *wanted, "--fork", "true"]).returncode == 0
    except OSError:
        return False


def _has_podman() -> bool:
    from tests.local.runs import containers  # it has what podman needs in a machine of CI

    return containers.works()


def required() -> list[str]:
    """The capabilities that must not be missing here, from $GENVX_TEST_REQUIRES."""
    return os.environ.get("GENVX_TEST_REQUIRES", "").split()
