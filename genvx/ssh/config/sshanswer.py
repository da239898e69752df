"""What OpenSSH, or paramiko in its place, says about a host in ssh_config."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import HostError
from genvx.ssh.config.commandline import arguments

if TYPE_CHECKING:
    from genvx.ssh.config.target import Target

_ASK_TIMEOUT = 10.0
# paramiko makes a regular expression of each pattern, in time that grows with the square of its
# length. No host name is longer than 255.
_LONGEST_WORD = 1024
# paramiko's reader fails on what it does not know: CanonicalizeHostname without domains is a
# KeyError, a missing word an IndexError.
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError)


def ask_ssh(ssh: str, target: Target, config: str | None) -> dict[str, list[str]]:
    """Return what `ssh -G` prints for a host: the values of each keyword.

    Raises:
        HostError: ssh refuses the configuration.
    """
    # Only ssh can compute %C, a hash whose recipe varies by version. With ControlPath=%C it prints
    # the hash as a path.
    command = [ssh, "-G", "-o", "ControlPath=%C", *arguments(target, config), "--", target.address]
    answer = _output(command)
    forks = b"fork into background" in answer.stderr
    if answer.returncode != 0 and forks:
        # ssh refuses ForkAfterAuthentication without a command, and the command comes only later.
        answer = _output([*command[:2], "-o", "ForkAfterAuthentication=no", *command[2:]])
    if answer.returncode != 0:
        lines = answer.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise HostError(f"ssh refuses its configuration: {printable(lines[0], 300)}", kind="config")
    # A keyword may be printed several times, as IdentityFile is, so each has a list.
    values: dict[str, list[str]] = {}
    for line in answer.stdout.decode("utf-8", "surrogateescape").splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key.lower(), []).append(value.strip())
    if forks:
        values["forkafterauthentication"] = ["yes"]
    return values


def _output(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_ASK_TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"ssh -G failed: {printable(str(error), 200)}", kind="config") from None


def read_ourselves(target: Target, config: str | None) -> dict[str, list[str]]:
    """Return what paramiko reads for a host, where there is no ssh.

    Raises:
        HostError: the configuration cannot be read.
    """
    import paramiko

    defaults = {
        "userknownhostsfile": ["~/.ssh/known_hosts ~/.ssh/known_hosts2"],
        "globalknownhostsfile": ["/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"],
        "identityfile": [f"~/.ssh/id_{kind}" for kind in ("ed25519", "ecdsa", "rsa")],
    }
    for path in [config] if config else ["~/.ssh/config", "/etc/ssh/ssh_config"]:
        try:
            with open(os.path.expanduser(path), encoding="utf-8") as file:
                text = file.read()
            if any(len(word) > _LONGEST_WORD for word in text.split()):
                raise ValueError(f"a word of more than {_LONGEST_WORD} characters")
            found = paramiko.SSHConfig.from_text(text).lookup(target.address)
        except FileNotFoundError:
            continue
        except (*_UNREADABLE, paramiko.SSHException) as error:
            reason = f"{printable(path, 200)} without ssh: {printable(repr(error), 200)}"
            raise HostError(f"cannot read {reason}; install OpenSSH", kind="config") from None
        for key, value in found.items():
            defaults[key.lower()] = list(value) if isinstance(value, list) else [str(value)]
        break
    return defaults
