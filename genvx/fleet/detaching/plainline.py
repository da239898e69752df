"""The plain ssh command that enters a run: for people and programs that know nothing of genvx."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import HostError, InvalidInput
from genvx.fleet.hosts.direct import require_direct
from genvx.ssh.config.commandline import arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.runs.runinfo import RunInfo
    from genvx.fleet.sshhost import SSHHost

_PLAIN = re.compile(r"[A-Za-z0-9_./:@+,-]+", re.ASCII)


def plain_line(host: SSHHost, run: RunInfo, command: Sequence[str] = ()) -> str:
    """Return the ssh command line that enters a run from this machine: a shell, or a command.

    It reaches the host as our connections do. Every shell reads it alike, here and there.

    Raises:
        InvalidInput: a word cannot be written so. HostError: the host does not say where the run
        is.
    """
    if not run.directory.startswith("/"):
        raise HostError(f"{host.name} does not say where the directory of run {run.id} is")
    spec, config = host.spec, host.options.config
    require_direct(spec, "plain ssh commands")
    # What we read may be named from this directory; the line is for any.
    target = replace(spec, key=_from_root(spec.key), ssh_config=_from_root(spec.ssh_config))
    words = ["ssh", *arguments(target, _from_root(config))]
    for option in host.session.settings(spec).overrides:
        words += ["-o", option]
    there = [quoted(word) for word in (f"{run.directory}/enter", *command)]
    # As ssh does by itself: a terminal is for a shell; it would change what a command prints.
    terminal = [] if command else ["-t"]
    return " ".join(quoted(word) for word in [*words, *terminal, spec.address, *there])


def quoted(word: str) -> str:
    """Quote a word so that bash, zsh, fish, tcsh and sh all read it as it is.

    Raises:
        InvalidInput: they do not agree on one of its characters.
    """
    if _PLAIN.fullmatch(word):
        return word
    # fish reads a backslash within quotes, and tcsh an exclamation mark.
    if not word.isprintable() or "\\" in word or "!" in word:
        raise InvalidInput(
            f"shells do not agree on how to quote '{printable(word, 100)}'; "
            "genvx remote ssh without --print takes it as it is"
        )
    return "'" + word.replace("'", "'\"'\"'") + "'"


def _from_root(path: str | None) -> str | None:
    return None if path is None else os.path.abspath(os.path.expanduser(path))
