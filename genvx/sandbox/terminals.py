"""Whether the sshd of this machine can give sessions a terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.sandbox.servers import START_TIMEOUT

if TYPE_CHECKING:
    from genvx.sandbox.host import SandboxHost


def gives_terminal(directory: str, host: SandboxHost) -> bool:
    """Return whether sshd can allocate a terminal for a session.

    sshd changes the group of the terminal to tty, which only root may do. It succeeds for others if
    the system has set the group already; in containers it often has not.
    """
    ssh = shutil.which("ssh")
    if os.geteuid() == 0 or ssh is None:
        return True
    return not (_runs(ssh, "-T", directory, host) and not _runs(ssh, "-tt", directory, host))


def _runs(ssh: str, terminal: str, directory: str, host: SandboxHost) -> bool:
    command = [ssh, "-F", f"{directory}/ssh_config", terminal, "-oBatchMode=yes", host.name, "exit"]
    try:
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=START_TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0


def last_words(host: SandboxHost) -> str:
    """Return the last complaint in the log of a server."""
    with open(host.path("log"), encoding="utf-8", errors="replace") as file:
        lines = [line for line in file.read(65536).splitlines() if "failed" in line]
    return printable(lines[-1], 200) if lines else "it does not say why"
