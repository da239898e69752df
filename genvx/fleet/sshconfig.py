"""What ssh would do for a host: the effective settings, from OpenSSH's own parser.

`ssh -G` knows Include, Match and every token; a second parser would differ where it hurts. Where
there is no ssh, paramiko's reader does, with the less that it knows.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import HostError
from genvx.fleet.sshpatterns import Patterns, patterns

if TYPE_CHECKING:
    from genvx.fleet.hostspec import HostSpec

_ASK_TIMEOUT = 10.0
# paramiko makes a regular expression of each pattern, in a time that grows with the square of its
# length. No name of a host is longer than 255.
_LONGEST_WORD = 1024
_DIGITS = re.compile(r"[0-9]{1,9}")

# paramiko's reader stumbles over what it does not know: CanonicalizeHostname without domains is a
# KeyError, a word too few an IndexError.
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True)
class Settings:
    """How to reach one host.

    known_hosts: files, first the one that new keys go to. agent: the socket of the user's agent;
    empty if it is not to be asked.
    """

    hostname: str
    port: int
    user: str
    identities: tuple[str, ...]
    identities_only: bool
    agent: str
    known_hosts: tuple[str, ...]
    host_key_alias: str | None
    proxy_jump: str | None
    proxy_command: str | None
    accept_new: bool
    connect_timeout: float | None
    family: str

    @property
    def key_name(self) -> str:
        """The name that the host's key has in known_hosts."""
        if self.host_key_alias:
            return self.host_key_alias
        name = self.hostname.lower()
        return name if self.port == 22 else f"[{name}]:{self.port}"


class Settler:
    """What ssh_config says of hosts, below what the hostfile says.

    Hosts that ssh_config cannot tell apart are asked for once: a process each would cost more than
    all the rest. config: instead of the usual files.
    """

    def __init__(self, config: str | None = None) -> None:
        self._config = config
        self._ssh = shutil.which("ssh")
        self._lock = threading.Lock()
        self._files: dict[str | None, Patterns | None] = {}
        self._answers: dict[object, _Answer] = {}

    def settings(self, spec: HostSpec) -> Settings:
        """The settings of one host.

        Raises:
            HostError: ssh refuses the configuration.
        """
        config = spec.ssh_config or self._config
        if self._ssh is None:
            return _settings(spec, _read_ourselves(spec, config))
        with self._lock:
            if config not in self._files:
                self._files[config] = patterns(config)
            known = self._files[config]
            alike: object = spec
            if known is not None:
                alike = (config, spec.user, spec.port, spec.key, known.matching(spec.address))
            answer = self._answers.setdefault(alike, _Answer())
        with answer.lock:  # others like this one wait for it here
            if answer.values is None:
                answer.values = _ask_ssh(self._ssh, spec, config)
                answer.address = spec.address
            values = answer.values
        if values.get("hostname") == [answer.address.lower()]:
            values = {**values, "hostname": [spec.address.lower()]}
        return _settings(spec, values)


class _Answer:
    """What ssh said of `address`; its lock is held while ssh is asked."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: dict[str, list[str]] | None = None
        self.address = ""


def _settings(spec: HostSpec, values: dict[str, list[str]]) -> Settings:
    def one(key: str) -> str | None:
        value = values.get(key, [""])[0]
        return None if value.lower() in ("", "none") else value

    identities = [spec.key] if spec.key else values.get("identityfile", [])
    timeout = one("connecttimeout") or ""
    return Settings(
        hostname=one("hostname") or spec.address,
        port=spec.port or _port(one("port") or "22"),
        user=spec.user or one("user") or getpass.getuser(),
        identities=tuple(
            path
            for path in map(_expanded, identities)
            if os.path.isfile(path) or os.path.isfile(f"{path}.pub")
        ),
        identities_only=one("identitiesonly") == "yes",
        agent=_agent(values.get("identityagent", ["SSH_AUTH_SOCK"])[0]),
        known_hosts=tuple(
            _expanded(path)
            for key in ("userknownhostsfile", "globalknownhostsfile")
            for path in (one(key) or "").split()
        ),
        host_key_alias=one("hostkeyalias"),
        proxy_jump=one("proxyjump"),
        proxy_command=one("proxycommand"),
        accept_new=one("stricthostkeychecking") in ("accept-new", "no", "off", "false"),
        connect_timeout=float(timeout) if _DIGITS.fullmatch(timeout) else None,
        family=one("addressfamily") or "any",
    )


def _port(text: str) -> int:
    """As ssh checks it; paramiko's reader passes on whatever is written."""
    if not _DIGITS.fullmatch(text) or not 0 < int(text) < 65536:
        raise HostError(
            f"ssh_config: a port is from 1 to 65535, not {printable(text, 20)!r}", kind="config"
        )
    return int(text)


def _expanded(path: str) -> str:
    """With a home in place of ~; what can be no path stays, and is found nowhere."""
    return path if "\0" in path else os.path.expanduser(path)


def _agent(value: str) -> str:
    if value.lower() == "none":
        return ""
    if value == "SSH_AUTH_SOCK" or value.startswith("$"):
        return os.environ.get(value.lstrip("$").strip("{}"), "")
    return _expanded(value)


def arguments(spec: HostSpec, config: str | None) -> list[str]:
    """The options that tell OpenSSH's client what the hostfile says of a host."""
    config = spec.ssh_config or config
    options = ["-F", config] if config else []
    if spec.user:
        options += ["-l", spec.user]
    if spec.port:
        options += ["-p", str(spec.port)]
    if spec.key:
        options += ["-i", spec.key]
    return options


def _ask_ssh(ssh: str, spec: HostSpec, config: str | None) -> dict[str, list[str]]:
    command = [ssh, "-G", *arguments(spec, config), "--", spec.address]
    try:
        answer = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_ASK_TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"ssh -G failed: {printable(str(error), 200)}", kind="config") from None
    if answer.returncode != 0:
        lines = answer.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise HostError(f"ssh refuses its configuration: {printable(lines[0], 300)}", kind="config")
    values: dict[str, list[str]] = {}
    for line in answer.stdout.decode("utf-8", "surrogateescape").splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key.lower(), []).append(value.strip())
    return values


def _read_ourselves(spec: HostSpec, config: str | None) -> dict[str, list[str]]:
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
            found = paramiko.SSHConfig.from_text(text).lookup(spec.address)
        except FileNotFoundError:
            continue
        except (*_UNREADABLE, paramiko.SSHException) as error:
            reason = f"{printable(path, 200)} without ssh: {printable(repr(error), 200)}"
            raise HostError(f"cannot read {reason}; install OpenSSH", kind="config") from None
        for key, value in found.items():
            defaults[key.lower()] = list(value) if isinstance(value, list) else [str(value)]
        break
    return defaults
