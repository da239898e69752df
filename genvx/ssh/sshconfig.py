"""What ssh would do for a host: the effective settings, from OpenSSH's own parser.

`ssh -G` knows Include, Match and every token; a second parser would differ where it hurts. Where
there is no ssh, paramiko's reader does, with the less that it knows.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import shutil
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import HostError
from genvx.ssh.patterns import Patterns, patterns
from genvx.ssh.tokens import expand_path, tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.ssh.target import Target

_ASK_TIMEOUT = 10.0
# paramiko makes a regular expression of each pattern, in a time that grows with the square of its
# length. No name of a host is longer than 255.
_LONGEST_WORD = 1024
# What ssh tries where ssh_config names no key. Nobody misses one of these.
_USUAL_KEYS = frozenset(f"~/.ssh/id_{kind}" for kind in ("ed25519", "ecdsa", "rsa"))
# The settings under which a command runs in a terminal of its own, on a connection of its own; the
# first is what is asked for, where ssh would do anything else.
_WANTED = {
    "RemoteCommand": ("none",),
    "SessionType": ("default",),
    "StdinNull": ("no", "false"),
    "ForkAfterAuthentication": ("no", "false"),
    "PermitLocalCommand": ("no", "false"),
    # A port that is taken is no reason for having no shell; ssh says which it is.
    "ExitOnForwardFailure": ("no", "false"),
    # A master would stay until the last of its users has gone, and does not notice what is lost.
    "ControlMaster": ("no", "false"),
}
_DIGITS = re.compile(r"[0-9]{1,9}")

# paramiko's reader stumbles over what it does not know: CanonicalizeHostname without domains is a
# KeyError, a word too few an IndexError.
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True)
class Settings:
    """How to reach one host.

    identities: key files that are there. missing: those that were named and are not. remembers:
    the file that new host keys go to. agent: the socket of the user's agent; empty if it is not to
    be asked. trusts_localhost: without its key. asks: whether ssh asks about an unknown host key.
    tokens: what %h and its like mean in ProxyCommand. overrides: options that undo what would break
    a command in a terminal. alive: whether ssh_config says how ssh notices that a host is lost.
    """

    hostname: str
    port: int
    user: str
    identities: tuple[str, ...]
    missing: tuple[str, ...]
    identities_only: bool
    agent: str
    known_hosts: tuple[str, ...]
    remembers: str | None
    host_key_alias: str | None
    proxy_jump: str | None
    proxy_command: str | None
    accept_new: bool
    connect_timeout: float | None
    family: str
    trusts_localhost: bool
    key_command: bool
    asks: bool
    tokens: Mapping[str, str]
    overrides: tuple[str, ...]
    alive: bool

    @property
    def key_name(self) -> str:
        """The name that the host's key has in known_hosts."""
        if self.host_key_alias:
            return self.host_key_alias
        name = self.hostname.lower()
        return name if self.port == 22 else f"[{name}]:{self.port}"

    @property
    def other_key_name(self) -> str | None:
        """The name without its port, by which ssh looks where the other is not known."""
        return None if self.host_key_alias or self.port == 22 else self.hostname.lower()


class Settler:
    """What ssh_config says of hosts, below what the hostfile says.

    Hosts that ssh_config cannot tell apart are asked for once: a process each would cost more than
    all the rest. config: instead of the usual files. ssh: the program that is asked; where there is
    none, paramiko's reader is used.
    """

    def __init__(self, config: str | None = None, *, ssh: str | None = "ssh") -> None:
        self._config = config
        self._ssh = None if ssh is None else shutil.which(ssh)
        self._lock = threading.Lock()
        self._files: dict[str | None, Patterns | None] = {}
        self._answers: dict[object, _Answer] = {}

    def settings(self, target: Target) -> Settings:
        """The settings of one host.

        Raises:
            HostError: ssh refuses the configuration.
        """
        config = target.ssh_config or self._config
        if self._ssh is None:
            return _settings(target, _read_ourselves(target, config))
        with self._lock:
            if config not in self._files:
                self._files[config] = patterns(config)
            known = self._files[config]
            alike: object = target
            if known is not None:
                alike = (
                    config,
                    target.user,
                    target.port,
                    target.key,
                    known.matching(target.address),
                )
            answer = self._answers.setdefault(alike, _Answer())
        with answer.lock:  # others like this one wait for it here
            if answer.values is None:
                answer.values = _ask_ssh(self._ssh, target, config)
                answer.address = target.address
            values = answer.values
        if values.get("hostname") == [answer.address.lower()]:
            values = {**values, "hostname": [target.address.lower()]}
        return _settings(target, values)


class _Answer:
    """What ssh said of `address`; its lock is held while ssh is asked."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: dict[str, list[str]] | None = None
        self.address = ""


def _settings(target: Target, values: dict[str, list[str]]) -> Settings:
    def one(key: str) -> str | None:
        value = values.get(key, [""])[0]
        return None if value.lower() in ("", "none") else value

    hostname = one("hostname") or target.address
    port = target.port or _port(one("port") or "22")
    user = target.user or one("user") or getpass.getuser()
    known = tokens(
        target.address,
        hostname,
        port,
        user,
        alias=one("hostkeyalias"),
        jump=one("proxyjump"),
        mark=one("controlpath") or "",
    )
    named = [target.key] if target.key else values.get("identityfile", [])
    identities = [expand_path(path, known) for path in named if path.lower() != "none"]
    there = [p for p in identities if os.path.isfile(p) or os.path.isfile(f"{p}.pub")]
    chosen = not _USUAL_KEYS.issubset(named)
    # Tokens in these, and in the agent's, ssh has expanded before it printed.
    users, globals_ = (
        tuple(expand_path(path, {}) for path in (one(key) or "").split())
        for key in ("userknownhostsfile", "globalknownhostsfile")
    )
    timeout = one("connecttimeout") or ""
    checking = one("stricthostkeychecking")
    return Settings(
        hostname=hostname,
        port=port,
        user=user,
        identities=tuple(there),
        missing=tuple(path for path in identities if chosen and path not in there),
        identities_only=one("identitiesonly") == "yes",
        agent=_agent(values.get("identityagent", ["SSH_AUTH_SOCK"])[0]),
        known_hosts=users + globals_,
        remembers=next(iter(users), None),
        host_key_alias=one("hostkeyalias"),
        proxy_jump=one("proxyjump"),
        proxy_command=one("proxycommand"),
        accept_new=checking in ("accept-new", "no", "off", "false"),
        connect_timeout=float(timeout) if _DIGITS.fullmatch(timeout) else None,
        family=one("addressfamily") or "any",
        trusts_localhost=one("nohostauthenticationforlocalhost") == "yes",
        key_command=one("knownhostscommand") is not None,
        asks=checking in (None, "ask"),
        tokens={token: known[token] for token in "%hnpr"},
        overrides=_overrides(values),
        alive=(one("serveraliveinterval") or "0") != "0",
    )


def _overrides(values: dict[str, list[str]]) -> tuple[str, ...]:
    """The options that undo what the user's settings would do to a command in a terminal.

    Only those that are needed: an older ssh does not know all of them, and refuses what it does not
    know.
    """
    return tuple(
        f"{name}={wanted[0]}"
        for name, wanted in _WANTED.items()
        if values.get(name.lower(), [wanted[0]])[0].lower() not in wanted
    )


def _port(text: str) -> int:
    """As ssh checks it; paramiko's reader passes on whatever is written."""
    if not _DIGITS.fullmatch(text) or not 0 < int(text) < 65536:
        raise HostError(
            f"ssh_config: a port is from 1 to 65535, not {printable(text, 20)!r}", kind="config"
        )
    return int(text)


def _agent(value: str) -> str:
    if value.lower() == "none":
        return ""
    if value == "SSH_AUTH_SOCK" or re.fullmatch(r"\$\w+", value):
        return os.environ.get(value.lstrip("$"), "")
    return expand_path(value, {})


def arguments(target: Target, config: str | None) -> list[str]:
    """The options that tell OpenSSH's client what the hostfile says of a host."""
    config = target.ssh_config or config
    options = ["-F", config] if config else []
    if target.user:
        options += ["-l", target.user]
    if target.port:
        options += ["-p", str(target.port)]
    if target.key:
        options += ["-i", target.key]
    return options


def terminal_options(settings: Settings, host_lost_after: float) -> list[str]:
    """The options that OpenSSH's client needs to run a command of ours in a terminal.

    host_lost_after: seconds of silence after which a host is lost, where ssh_config does not say.
    """
    wanted = ["ControlPath=none", *settings.overrides]
    if not settings.alive:
        # ssh asks after each interval of silence, and leaves when one more would begin. Then we
        # ask, too.
        patience = host_lost_after * 0.9
        interval = max(1, int(patience / 4))
        most = max(1, int(patience / interval) - 1)
        wanted += [f"ServerAliveInterval={interval}", f"ServerAliveCountMax={most}"]
    return [word for option in wanted for word in ("-o", option)]


def advised_line(
    target: Target,
    settings: Settings,
    config: str | None,
    *,
    plain_key: str = "",
    authority: bool = False,
) -> str:
    """The ssh command with which a person logs in to a host as we do, for them to type.

    plain_key: the kind of host key that it is to ask about and remember. authority: the host has a
    certificate, which ssh would take instead.
    """
    words = ["ssh", *arguments(target, config)]
    if plain_key and not settings.asks:
        words += ["-o", "StrictHostKeyChecking=ask"]
    if plain_key and settings.key_command:
        words += ["-o", "KnownHostsCommand=none"]  # ssh does not remember what that vouches for
    if plain_key and authority:
        algorithms = "rsa-sha2-512,rsa-sha2-256" if plain_key == "ssh-rsa" else plain_key
        words += ["-o", f"HostKeyAlgorithms={algorithms}"]
    return printable(shlex.join([*words, target.address]), 500)


def _ask_ssh(ssh: str, target: Target, config: str | None) -> dict[str, list[str]]:
    # What only ssh can compute, %C, it prints as the path that we ask for.
    command = [ssh, "-G", "-o", "ControlPath=%C", *arguments(target, config), "--", target.address]
    answer = _output(command)
    forks = b"fork into background" in answer.stderr
    if answer.returncode != 0 and forks:
        # ForkAfterAuthentication wants a command, which we have only later.
        answer = _output([*command[:2], "-o", "ForkAfterAuthentication=no", *command[2:]])
    if answer.returncode != 0:
        lines = answer.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise HostError(f"ssh refuses its configuration: {printable(lines[0], 300)}", kind="config")
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


def _read_ourselves(target: Target, config: str | None) -> dict[str, list[str]]:
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
