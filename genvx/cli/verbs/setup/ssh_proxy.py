"""genvx remote ssh-proxy: the ProxyCommand of an entry that genvx ssh-config prints."""

from __future__ import annotations

from typing import Annotated

import typer

from genvx.cli.ask.request import Request
from genvx.cli.ask.where import here
from genvx.cli.entries.files import key
from genvx.cli.entries.target import far, find
from genvx.cli.holds.remote import run_remotely
from genvx.core.requests.requirements import Requirements
from genvx.core.value import replace

# Runs on the host, with our public key as its argument. `sshd -i` serves one connection on its
# stdin and stdout, needs no root, and ends with the connection. Its host key is kept, so that the
# client recognises it. `ln` fails if another connection has made the key at the same time; then
# both use that one.
_SERVE = r"""
set -eu
for sshd in /usr/sbin/sshd /usr/local/sbin/sshd /sbin/sshd /usr/lib/ssh/sshd; do
    if [ -x "$sshd" ]; then break; fi
done
if [ ! -x "$sshd" ]; then
    echo "genvx: no sshd on this host; ssh-config needs OpenSSH's server there" >&2
    exit 127
fi
place=${XDG_CACHE_HOME:-$HOME/.cache}/genvx/ssh
umask 077
mkdir -p "$place"
if [ ! -f "$place/host_key" ]; then
    ssh-keygen -q -t ed25519 -N '' -C genvx -f "$place/host_key.$$"
    ln "$place/host_key.$$" "$place/host_key" 2>/dev/null || :
    rm -f "$place/host_key.$$" "$place/host_key.$$.pub"
fi
keys=$place/authorized_keys
grep -qxF "$1" "$keys" 2>/dev/null || printf '%s\n' "$1" >> "$keys"
if [ "$(id -u)" = 0 ]; then mkdir -p /run/sshd; fi
name=$(printf %s "$GENVX_ENVIRONMENT_NAME" | tr '"\\' '__')
exec "$sshd" -i -e -f /dev/null -h "$place/host_key" \
    -o PidFile=none -o UsePAM=no -o StrictModes=no -o LogLevel=ERROR \
    -o AuthorizedKeysFile="$keys" -o PasswordAuthentication=no -o KbdInteractiveAuthentication=no \
    -o PermitRootLogin=prohibit-password -o Subsystem="sftp internal-sftp" \
    -o SetEnv="CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER=$CUDA_DEVICE_ORDER \
GENVX_ENVIRONMENT_ID=$GENVX_ENVIRONMENT_ID GENVX_DEVICES=$GENVX_DEVICES \
\"GENVX_ENVIRONMENT_NAME=$name\""
"""


def ssh_proxy(
    context: typer.Context, host: str, environment: Annotated[str, typer.Argument()] = ""
) -> None:
    """Connect stdin and stdout to an environment: the ProxyCommand of an entry."""
    where = far(here(context))
    if not environment:
        with where.fleet() as fleet:
            _, env = find(where, fleet, host, living=True)
        assert env is not None, "a living one was asked for"
        environment = env.id
    public = key().with_suffix(".pub").read_text("ascii").strip()
    request = Request(Requirements(), environment=environment)
    # Quiet: our stderr is that of ssh and scp, whose users do not expect messages of genvx.
    where = replace(where, quiet=True)
    raise typer.Exit(run_remotely(where, request, ["sh", "-c", _SERVE, "genvx", public]))
