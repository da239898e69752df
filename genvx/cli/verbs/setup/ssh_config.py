"""genvx ssh-config: entries with which ssh, scp, sftp and editors connect into an environment.

The ProxyCommand of an entry is a connection of genvx, which holds the environment. At its far end
an sshd of the user's own serves this one connection, with the variables of the environment. So
every program that uses SSH works, and nothing is installed or opened on the host.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genvx.cli.ask import candidates
from genvx.cli.ask.request import Request
from genvx.cli.ask.where import Where, here
from genvx.cli.verbs.hold.activate import run_remotely
from genvx.core.requirements import Requirements
from genvx.core.text import printable
from genvx.errors import InvalidInput, StateError, UnknownEnvironment
from genvx.fleet import hostfile, hostnames
from genvx.fleet.own import matching, only
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.environment import Environment
    from genvx.fleet.fleet import Fleet
    from genvx.fleet.host import Host

Target = Annotated[
    str,
    typer.Argument(
        metavar="HOST|ENV",
        help="Environment id or name; or a host, for your only environment there.",
        autocompletion=candidates.hosts,
    ),
]
Write = Annotated[
    bool,
    typer.Option("--write", help="Write it to a file that ~/.ssh/config includes."),
]
Remove = Annotated[bool, typer.Option("--remove", help="Remove it from that file.")]

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", re.ASCII)

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


def ssh_config(
    context: typer.Context, target: Target, write: Write = False, remove: Remove = False
) -> None:
    """Print an ssh entry that leads into an environment.

    With it in ~/.ssh/config, ssh, scp, sftp and editors connect into the environment. Their
    processes see its GPUs, and the connection holds it.

    Example: genvx remote ssh-config train --write
    """
    where = _far(here(context))
    if remove:
        path = _file()
        if not _keep([f"genvx-{target}", target]):
            raise InvalidInput(f"{path} has no entry {printable(target, 60)!r}")
        print(f"Removed {printable(target, 60)} from {path}")
        return
    with where.fleet() as fleet:
        host, env = _find(where, fleet, target)
        user = host.entitlement().user
        hosts = {each.name for each in fleet.hosts}
    names = [f"genvx-{env.id}" if env is not None else f"genvx-{host.name}"]
    if env is not None and _SAFE.fullmatch(env.name) and env.name not in hosts:
        names.append(f"genvx-{env.name}")
    entry = _entry(where, names, host.name, env, user)
    if not write:
        print(entry, end="")
        return
    # ssh takes the first entry that matches, so older ones with these names must go.
    _keep(names, entry)
    _include()
    print(f"ssh {names[-1]}")


def ssh_proxy(
    context: typer.Context, host: str, environment: Annotated[str, typer.Argument()] = ""
) -> None:
    """Connect stdin and stdout to an environment: the ProxyCommand of an entry."""
    where = _far(here(context))
    if not environment:
        with where.fleet() as fleet:
            _, env = _find(where, fleet, host, living=True)
        assert env is not None, "a living one was asked for"
        environment = env.id
    public = _key().with_suffix(".pub").read_text("ascii").strip()
    request = Request(Requirements(), environment=environment)
    # Quiet: our stderr is that of ssh and scp, whose users do not expect messages of genvx.
    where = replace(where, quiet=True)
    raise typer.Exit(run_remotely(where, request, ["sh", "-c", _SERVE, "genvx", public]))


def _far(where: Where) -> Where:
    return where if where.remote else Where(remote=True)


def _find(
    where: Where, fleet: Fleet, target: str, *, living: bool = False
) -> tuple[Host, Environment | None]:
    """Return the host that `target` names, and the environment if it names one.

    living: find an environment also for a host: the only one of ours there.

    A target that is both a host and an environment is the host.

    Raises:
        UnknownEnvironment: there is none.
    """
    seen = where.look(fleet)
    if target in seen.failed:
        raise seen.failed[target]
    is_host = target in seen.succeeded
    if is_host and not living:
        return fleet.host(target), None
    found = matching(
        fleet, seen, lambda host, env: host == target if is_host else target in (env.id, env.name)
    )
    if found:
        return only(found, target)
    if is_host:
        raise UnknownEnvironment(f"no active environment of yours on {target}")
    where.report(seen)
    raise UnknownEnvironment(
        f"{printable(target, 60)!r} is neither an environment of yours nor a host"
    )


def _entry(where: Where, names: list[str], host: str, env: Environment | None, user: str) -> str:
    words = [sys.executable, "-m", "genvx", "remote"]
    if where.hosts is not None:
        words += ["-H", where.hosts]
    else:
        words += ["-f", os.path.abspath(where.hostfile or hostfile.find(os.environ))]
    if where.login is not None:
        words += ["-l", where.login]
    words += ["ssh-proxy", host, *([env.id] if env is not None else [])]
    config = os.environ.get("GENVX_SSH_CONFIG")
    if config:
        words = ["env", f"GENVX_SSH_CONFIG={os.path.abspath(config)}", *words]
    # The name comes from the host and becomes a line of ssh_config: it must not contain another.
    hostnames.require_user(user)
    # ssh expands %h and the like in ProxyCommand, and passes the line to a shell.
    proxy = " ".join(shlex.quote(word) for word in words).replace("%", "%%")
    home = _home()
    # HostKeyAlias and a known_hosts of ours: the sshd at the end of the ProxyCommand has a key of
    # its own, which must not be compared with the host's. accept-new is safe for it: genvx has
    # checked the key of the host that it runs on.
    return (
        f"# {'environment ' + printable(env.label, 200) if env else 'your environment'} on {host}\n"
        f"Host {' '.join(names)}\n"
        f"    User {user}\n"
        f"    ProxyCommand {proxy}\n"
        f"    HostKeyAlias genvx-at-{host}\n"
        f'    UserKnownHostsFile "{home}/known_hosts"\n'
        f"    StrictHostKeyChecking accept-new\n"
        f'    IdentityFile "{_key()}"\n'
        f"    IdentitiesOnly yes\n"
        f"    LogLevel ERROR\n"
        f"    PreferredAuthentications publickey\n"
    )


# Files of ours


def _home() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    path = Path(base) / "genvx" / "ssh"
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StateError(f"cannot make {path}: {error.strerror}") from None
    return path


def _key() -> Path:
    """Return the key that our own sshds accept; make it when it is first needed."""
    path = _home() / "id_ed25519"
    if not path.exists():
        from genvx.sandbox.files import make_key

        make_key(str(path), "genvx")
    return path


def _file() -> Path:
    return _home() / "config"


def _keep(names: Sequence[str], entry: str = "") -> bool:
    """Replace all entries of our file with one of these names; return whether there was one.

    An entry begins with its comment, and ends where the next begins.
    """
    path = _file()
    text = path.read_text("utf-8") if path.exists() else ""
    blocks = [block for block in re.split(r"(?m)^(?=# )", text) if block.strip()]
    kept = [block for block in blocks if not set(_hosts_of(block)) & set(names)]
    _replace(path, "".join([*kept, entry]))
    return len(kept) < len(blocks)


def _hosts_of(block: str) -> list[str]:
    return [word for line in re.findall(r"(?m)^Host (.*)$", block) for word in line.split()]


def _include() -> None:
    """Make ~/.ssh/config include our file, in the first line: in a Host block it would apply to
    that host only.
    """
    path = Path(os.path.expanduser("~/.ssh/config"))
    line = f'Include "{_file()}"'
    try:
        text = path.read_text("utf-8") if path.exists() else ""
        if line in text.splitlines():
            return
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # resolve(): ~/.ssh/config is often a link into a repository; the rename would replace it.
        _replace(path.resolve(), f"{line}\n\n{text}" if text else f"{line}\n")
    except (OSError, UnicodeDecodeError) as error:
        say(f"genvx: cannot change {path} ({error}); add this as its first line: {line}")


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.urandom(6).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
