"""The activated shell of a remote host, in our terminal.

OpenSSH's client has the terminal where it is installed: nothing of ours is between it and the keys,
so everything works as people know it. Otherwise a loop passes bytes over Fabric's connection.

We hold the devices already, and the shell joins their environment. So a host that refuses never
reads a key, and `handover.py` finds out whether the shell ran.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import termios
import tty
from typing import TYPE_CHECKING

from genvx.core.wire.asking import call_of
from genvx.core.wire.job import Job
from genvx.core.wire.ongoing import OpenShell
from genvx.errors import HostError
from genvx.fleet.delivery.bootstrap import agent_command
from genvx.fleet.sshclient import SSHClient
from genvx.fleet.terminals.handover import LOST, Handover
from genvx.fleet.terminals.ourterminal import is_raw, restored_terminal, size_changes
from genvx.fleet.terminals.pump import pump
from genvx.ssh.config import commandline
from genvx.ssh.deadline import Deadline
from genvx.ssh.ending import close_channel

if TYPE_CHECKING:
    from collections.abc import Mapping

    import paramiko

    from genvx.core.runs.container import Container
    from genvx.core.wire.call import Call
    from genvx.fleet.remotehold import RemoteHold
    from genvx.fleet.sshhost import SSHHost

# Undoes what full-screen programs do to a terminal (the scrolling region, the hidden cursor,
# colours, the alternate screen, the mouse, bracketed paste) and moves to the last line.
_PLAIN_SCREEN = (
    "\x1b[r\x1b[?25h\x1b[0m\x1b[?1047l"
    + "".join(f"\x1b[?{mode}l" for mode in (1000, 1002, 1003, 1006, 2004))
    + "\x1b[999;1H"
)

# The exit code of ssh when its connection ends. A shell may exit with it as well.
_SSH_FAILED = 255


def open_shell(
    host: SSHHost,
    hold: RemoteHold,
    *,
    prompt: str | None,
    command: list[str] | None = None,
    in_run: bool = False,
    container: Container | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Open a shell on the host in our terminal, or run `command`; return its exit code.

    It takes over the devices that `hold` holds. Call it in the main thread of a program whose stdin
    is a terminal.

    prompt: the name of the host in the shell's prompt; None leaves the prompt unchanged. in_run:
    whether it starts inside of the run whose environment `hold` holds. container: in which it
    starts; the shell is one of the image then.

    Raises:
        HostError: the shell never ran, perhaps because of a start-up file on the host.
        InvalidInput: the host does not have the command.
    """
    environ = os.environ if environ is None else environ
    argv = None if command is None else tuple(command)
    is_plain = not (argv or in_run or container)
    job = None if is_plain else Job(argv, in_run=in_run, container=container)
    call = call_of(OpenShell(hold.environment_id, prompt, job), hold.token)
    host.require_terminal()
    ssh = shutil.which("ssh")
    # After a password or a passphrase, OpenSSH's client would ask for it again.
    if ssh is None or environ.get("GENVX_TERMINAL") == "builtin" or host.needed_secret:
        code = _through_fabric(host, hold, call, environ)
    else:
        code = _through_openssh(ssh, host, hold, call)
    if code == _SSH_FAILED and (lost := host.lost()) is not None:
        raise lost
    return code


def _concluded(handover: Handover, code: int) -> int:
    """Return the exit code of a shell that ran; raise why it did not run."""
    if handover.gave_up:
        # What ran instead of the shell, such as tmux, was ended and could not restore the screen.
        dumb = os.environ.get("TERM", "dumb") == "dumb"
        print("" if dumb else _PLAIN_SCREEN, file=sys.stderr, flush=True)
    handover.conclude(code)
    return code


# Through OpenSSH's client


def ssh_command(ssh: str, host: SSHHost, remote: str) -> list[str]:
    """Return the command line of OpenSSH's client, with the same settings as our connections."""
    options = host.options
    spec = host.spec
    checking = "accept-new" if options.accept_new_host_keys else "yes"
    if host.session.settings(spec).accept_new:
        checking = "accept-new"
    # StrictHostKeyChecking is always set: we have accepted the host's key, so ssh need not ask
    # again; a question would go to a terminal on which people expect their shell.
    return [
        ssh,
        "-tt",
        *("-o", f"StrictHostKeyChecking={checking}"),
        *("-o", "LogLevel=ERROR"),
        *("-o", f"ConnectTimeout={max(1, round(options.timeout))}"),
        *commandline.terminal_options(host.session.settings(spec), options.host_lost_after),
        *commandline.arguments(spec, options.config),
        "--",
        spec.address,
        remote,
    ]


def _through_openssh(ssh: str, host: SSHHost, hold: RemoteHold, call: Call) -> int:
    command = ssh_command(ssh, host, agent_command(host.spec, call.token, call.to_word()))
    with restored_terminal():
        client = SSHClient(command)
        # The timeout counts only from raw mode: before it, ssh may ask a person for a secret.
        timeout = host.options.timeout
        handover = Handover(host.name, hold, timeout, begun=is_raw, give_up=client.end)
        code = client.wait()
    try:
        return _concluded(handover, code)
    except HostError:
        if client.interrupted:
            raise KeyboardInterrupt from None
        raise


# Through Fabric's connection


def _through_fabric(host: SSHHost, hold: RemoteHold, call: Call, environ: Mapping[str, str]) -> int:
    def ask(channel: paramiko.Channel) -> None:
        columns, lines = os.get_terminal_size(0)
        channel.get_pty(environ.get("TERM", "vt100"), columns, lines)
        channel.exec_command(agent_command(host.spec, call.token, call.to_word()))

    with Deadline(host.options.timeout) as deadline:
        channel = host.channel(deadline, ask)
    try:
        with restored_terminal(), size_changes() as changed:
            # tty.setraw's default, TCSAFLUSH, discards what was typed ahead; TCSADRAIN keeps it.
            tty.setraw(0, termios.TCSADRAIN)
            handover = Handover(
                host.name,
                hold,
                host.options.timeout,
                begun=lambda: True,
                give_up=lambda: close_channel(channel),
            )
            with contextlib.suppress(
                EOFError
            ):  # the connection is lost; there is no exit code then
                pump(channel, changed)
        code = int(channel.recv_exit_status())
    finally:
        close_channel(channel)
    return _concluded(handover, code if code >= 0 else LOST)
