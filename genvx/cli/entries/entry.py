"""The text of an entry of ssh_config."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

from genvx.cli.entries import files
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.fleet.hosts import hostfile, hostnames

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.cli.entries.target import Goal


def entry(where: Where, names: list[str], goal: Goal, user: str) -> str:
    """Return the entry with these names. user: the user on the host."""
    host = goal.host.name
    # -P: ssh starts it where its user is, and a module there must not stand in for one of ours.
    words = [sys.executable, "-P", "-m", "genvx", "remote"]
    if where.named is not None:
        words += ["--remote", _everywhere(where.named)]
    elif where.hosts is not None:
        words += ["-H", where.hosts]
    else:
        words += ["-f", _from_root(where.hostfile or hostfile.find(os.environ))]
    if where.login is not None:
        words += ["-l", where.login]
    words += ["ssh-proxy", host, *_words(goal)]
    # What is started from a desktop has none of the variables of a shell.
    for name in ("XDG_CONFIG_HOME", "GENVX_SSH_CONFIG", "GENVX_REMOTES"):
        if os.environ.get(name):
            words = [f"{name}={_from_root(os.environ[name])}", *words]
    if "=" in words[0]:
        words = ["/usr/bin/env", *words]
    # The name comes from the host and becomes a line of ssh_config: it must not contain another.
    hostnames.require_user(user)
    if not all(map(str.isprintable, words)):
        raise InvalidInput(
            f"the path of a file cannot be written into ssh_config: {printable(' '.join(words))}"
        )
    # ssh passes the line to a shell.
    proxy = _without_tokens(" ".join(shlex.quote(word) for word in words))
    known_hosts = _without_tokens(str(files.home() / "known_hosts"))
    # HostKeyAlias and a known_hosts of ours: the sshd at the end of the ProxyCommand has a key of
    # its own, which must not be compared with the host's. accept-new is safe for it: genvx has
    # checked the key of the host that it runs on. Names are not hashed, for --remove finds them.
    return (
        f"# {_title(goal)} on {host}\n"
        f"Host {' '.join(names)}\n"
        f"    User {user}\n"
        f"    ProxyCommand {proxy}\n"
        f"    HostKeyAlias {alias(goal)}\n"
        f'    UserKnownHostsFile "{known_hosts}"\n'
        f"    HashKnownHosts no\n"
        f"    StrictHostKeyChecking accept-new\n"
        f'    IdentityFile "{_without_tokens(str(files.key()))}"\n'
        f"    IdentitiesOnly yes\n"
        f"    LogLevel ERROR\n"
        f"    PreferredAuthentications publickey\n"
    )


def alias(goal: Goal) -> str:
    """Return the name under which ssh keeps the host key: the key of our sshds on a host, or the
    key of a run, which lives with it.
    """
    if goal.run is None:
        return f"genvx-at-{goal.host.name}"
    return f"genvx-run-{goal.run.id}{node_suffix(goal)}"


def node_suffix(goal: Goal) -> str:
    """Return the end of the names of a part of a run on several hosts; empty for its first part."""
    return f"-{goal.run.rank}" if goal.run is not None and goal.run.rank else ""


def _words(goal: Goal) -> list[str]:
    """The words of ssh-proxy behind the host."""
    if goal.run is not None:
        node = ["--node", str(goal.run.rank)] if goal.run.rank else []
        return ["--run", goal.run.id, *node]
    return [goal.environment.id] if goal.environment is not None else []


def _title(goal: Goal) -> str:
    if goal.run is not None:
        node = f"node {goal.run.rank} of " if goal.run.spec.part is not None else ""
        return f"{node}run {printable(goal.run.label_or_id, 200)}"
    if goal.environment is not None:
        return f"environment {printable(goal.environment.label, 200)}"
    return "your environment"


def _from_root(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _without_tokens(text: str) -> str:
    """Return text in which ssh finds no %h and the like to expand."""
    return text.replace("%", "%%")


def _everywhere(named: str) -> str:
    """Return the name of a remote, if it means the same in every directory: ssh runs in any."""
    from genvx.fleet.remotes.reading import remotes_named

    if any(remote.of_project for remote in remotes_named(named, os.environ)):
        raise InvalidInput(
            f"remote {named} is of a project's file, which ssh does not find from elsewhere; write "
            "it in your own remotes.yml"
        )
    return named
