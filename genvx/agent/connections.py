"""Serving one SSH connection of a client, whose sessions are in an environment or inside of a run.

The entries that `genvx ssh-config` prints lead here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genvx.agent.farend import FarEnd
    from genvx.core.wire.ongoing import ServeSSH


def serve_ssh(end: FarEnd, asked: ServeSSH) -> int:
    """Serve one SSH connection on stdin and stdout; return the exit code of its sshd."""
    # Imported here: other acts need none of it.
    from genvx.local.running import sshd

    environ = end.host.environ
    program = sshd.find(environ)
    if asked.in_run:
        return _serve_in_run(end, asked, program)
    with end.host.join(asked.environment_id, command="ssh") as holding:
        places = sshd.host_places(environ)
        argv = sshd.command(program, asked.key, places, holding.grant.variables)
        end.reply(asked, holding.grant)
        # sshd closes the lease, so it must not outlive us.
        return holding.supervise(argv, stdout=end.out, watch_client=True, die_with_us=True)


def _serve_in_run(end: FarEnd, asked: ServeSSH, program: str) -> int:
    from genvx.local.running import sshd

    with end.host.enter(asked.environment_id, command="ssh") as entry:
        directory = entry.variables["GENVX_RUN_DIR"]
        # Each session enters the run by itself. So it holds the lease, which sshd closes.
        variables = {"GENVX_RUN_DIR": directory}
        argv = sshd.command(program, asked.key, [directory], variables, forced=sshd.ENTER)
        end.reply(asked, entry.hold.grant)
        return entry.supervise(argv, stdout=end.out, watch_client=True)
