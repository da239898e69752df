"""Outliving a logout where logind ends all processes of a user then (KillUserProcesses=yes).

On all other hosts this reads one small file and does nothing.
"""

from __future__ import annotations

import os
import re
import shlex
from time import monotonic, sleep

from genvx.core.logind import Logind, Outliving, needed
from genvx.core.text import printable
from genvx.errors import StateError
from genvx.local import processes

LINGERED = (
    "logind of this host ends your processes at logout (KillUserProcesses=yes), so lingering was "
    "turned on for you there; when you have no runs, loginctl disable-linger turns it off"
)
KILLS = "logind ends your processes at logout (KillUserProcesses=yes), also runs"
ADVICE = "loginctl enable-linger; genvx run --detach does it for you"

_CGROUP = "/proc/self/cgroup"
_SESSION = re.compile(r"/session-[^/\n]+\.scope(/|$)", re.MULTILINE)
_ASK = (
    *("busctl", "get-property", "org.freedesktop.login1", "/org/freedesktop/login1"),
    *("org.freedesktop.login1.Manager", "KillUserProcesses", "KillOnlyUsers", "KillExcludeUsers"),
)
_MOVE = (
    *("busctl", "--user", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1"),
    *("org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))"),
)
# Seconds for one answer, and for systemd to do what it has accepted.
_DEADLINE = 10.0
_MOVING = 5.0


def ask() -> Logind:
    """Ask logind about this process and its user."""
    user = processes.owner_of(os.getuid()).name
    if not _in_session():
        return Logind(user, in_session=False)
    _, said, _ = _run(*_ASK)
    try:
        # As in: b true / as 0 / as 2 "root" "raz"
        (_, kills), (_, _, *only), (_, _, *spared) = map(shlex.split, said.splitlines())
    except ValueError:
        return Logind(user, in_session=True)
    logind = Logind(user, True, kills == "true", tuple(only), tuple(spared))
    if needed(logind) is Outliving.NOTHING:
        return logind
    _, said, _ = _run("loginctl", "show-user", str(os.getuid()), "--property=Linger")
    return Logind(user, True, True, tuple(only), tuple(spared), said.strip() == "Linger=yes")


def outlive_logout(name: str) -> str:
    """Have this process outlive the logout of its user; return what to tell the user, or "".

    name: of the scope into which it is moved, if that is needed.

    Raises:
        StateError: it would not outlive it; the message says what to type.
    """
    what = needed(ask())
    if what is Outliving.NOTHING:
        return ""
    if what is Outliving.LINGERING:
        code, _, errors = _run("loginctl", "--no-ask-password", "enable-linger")
        if code != 0:
            raise StateError(
                f"{KILLS}, and lingering cannot be turned on: {errors or f'exit code {code}'}; "
                f"have root type: loginctl enable-linger {processes.owner_of(os.getuid()).name}"
            )
    _leave_session(name)
    return LINGERED if what is Outliving.LINGERING else ""


def _leave_session(name: str) -> None:
    """Have systemd move this process into a scope of the user's own manager.

    systemd-run would start a program anew, and the agent may be nowhere but in the memory of this
    process.
    """
    properties = ("PIDs", "au", "1", str(os.getpid()), "CollectMode", "s", "inactive-or-failed")
    code, _, errors = _run(*_MOVE, f"{name}.scope", "fail", "2", *properties, "0")
    end = monotonic() + _MOVING
    while code == 0 and _in_session() and monotonic() < end:
        sleep(0.02)
    if code != 0 or _in_session():
        raise StateError(
            f"{KILLS}, and systemd does not move the run out of your session: "
            f"{errors or f'exit code {code}'}; try systemd-run --user --scope true there"
        )


def _in_session() -> bool:
    try:
        with open(_CGROUP, encoding="utf-8", errors="replace") as file:
            return _SESSION.search(file.read(65536)) is not None
    except OSError:
        return False


def _run(*words: str) -> tuple[int, str, str]:
    """The exit code of a program of systemd's, its output, and the last line of its errors."""
    # Imported here: most hosts need no program.
    import subprocess

    environ = {
        **os.environ,
        "LC_ALL": "C",
        # Over SSH these may be missing, or be those of another machine.
        "XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}",
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path=/run/user/{os.getuid()}/bus",
    }
    try:
        answer = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=environ,
            timeout=_DEADLINE,
            check=False,
        )
    except OSError as error:
        return 127, "", f"{words[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return 124, "", f"{words[0]} does not answer"
    said = answer.stderr.strip().splitlines()
    return answer.returncode, answer.stdout, printable(said[-1], 200) if said else ""
