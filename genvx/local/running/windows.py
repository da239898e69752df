"""Windows of tmux and screen, which are no children of the shell in which their keys are pressed.

A window is started by a server that may have been there before, and gets that server's variables
and none of a shell's descriptors. So it is outside of the shell's environment, and sees all GPUs. A
shell with `genvx shell-init` finds its way in (shell/code/window.sh); a person is told, once for
each server.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
from typing import TYPE_CHECKING, NamedTuple, Optional

from genvx.errors import GenvxError
from genvx.local import processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from genvx.core.leases.grant import Grant
    from genvx.local.state.directory import StateDirectory

_PATIENCE = 1.0
_MOST_SOCKETS = 16
_MOST_TOLD = 50


class _Server(NamedTuple):
    program: str
    pid: int
    around: bool  # whether we are in one of its windows


def announce(
    state: StateDirectory, environ: Mapping[str, str], grant: Grant, lease: str
) -> Optional[str]:
    """Let windows know of an environment that a shell is activated with; return what its person is
    to be told of them, if anything.

    lease: the path of the lease's file. In a window of tmux, what shell-init does in other windows
    of that session rests on the session's option @genvx.
    """
    if environ.get("TMUX") and environ.get("TMUX_PANE") and lease:
        option = ["@genvx", f"{grant.environment_id} {lease}"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                ["tmux", "set-option", "-q", "-t", environ["TMUX_PANE"], *option],
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PATIENCE,
            )
    server = _server(environ)
    if server is None or not _is_new(state, server.pid):
        return None
    return (
        f"{'other ' if server.around else ''}{server.program} windows see all GPUs; "
        f"to join: genvx activate --id {grant.environment_id}"
    )


def _server(environ: Mapping[str, str]) -> Optional[_Server]:
    """The server around us, or else one of tmux that was there before us."""
    for name, at in (("TMUX", 1), ("STY", 0)):
        words = environ.get(name, "").split("," if name == "TMUX" else ".")
        if len(words) > at and words[at].isdecimal():
            return _Server({"TMUX": "tmux", "STY": "screen"}[name], int(words[at]), True)
    return next((_Server("tmux", pid, False) for pid in _tmux_servers(environ)), None)


def _tmux_servers(environ: Mapping[str, str]) -> Iterator[int]:
    """The servers of ours that answer at tmux's usual sockets."""
    directory = f"{environ.get('TMUX_TMPDIR') or '/tmp'}/tmux-{os.getuid()}"
    with contextlib.suppress(OSError):
        if os.lstat(directory).st_uid != os.getuid():
            return
        for name in sorted(os.listdir(directory))[:_MOST_SOCKETS]:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(_PATIENCE)
                probe.connect(f"{directory}/{name}")
                peer = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
                pid, uid, _ = struct.unpack("3i", peer)
                if uid == os.getuid():
                    yield pid


def _is_new(state: StateDirectory, pid: int) -> bool:
    """Whether a server has not been told of before; remember it."""
    this = f"{processes.boot_id()} {pid} {processes.starttime(pid)}"
    try:
        with state.own() as directory:
            path = os.path.join(state.path_of(directory), "shell", "told")
            told: list[str] = []
            with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as file:
                told = file.read(1 << 16).splitlines()
            if this in told:
                return False
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            with open(f"{path}.{os.getpid()}", "w", encoding="ascii") as file:
                file.write("\n".join([*told[-_MOST_TOLD:], this]) + "\n")
            os.replace(f"{path}.{os.getpid()}", path)
    except (GenvxError, OSError, ValueError):
        pass  # better twice than never
    return True
