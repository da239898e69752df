"""The effective ssh settings of a host, from OpenSSH's own parser.

`ssh -G` knows Include, Match and every token; a parser of our own would differ in some of them and
connect elsewhere. Where ssh is not installed, paramiko's reader is used, which knows less.
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
# paramiko makes a regular expression of each pattern, in time that grows with the square of its
# length. No host name is longer than 255.
_LONGEST_WORD = 1024
# The keys that ssh tries where ssh_config names none. One that does not exist is no complaint: the
# user did not name it.
_USUAL_KEYS = frozenset(f"~/.ssh/id_{kind}" for kind in ("ed25519", "ecdsa", "rsa"))
# What a command of ours in a terminal needs, on a connection of its own. The first value is passed
# to ssh where the user's settings say anything else than one of these.
_WANTED = {
    "RemoteCommand": ("none",),
    "SessionType": ("default",),
    "StdinNull": ("no", "false"),
    "ForkAfterAuthentication": ("no", "false"),
    "PermitLocalCommand": ("no", "false"),
    # A forwarded port that is taken must not cost the shell; ssh says which port it is.
    "ExitOnForwardFailure": ("no", "false"),
    # A master would stay until the last of its users has left, and does not notice a lost host.
    "ControlMaster": ("no", "false"),
}
_DIGITS = re.compile(r"[0-9]{1,9}")

# paramiko's reader fails on what it does not know: CanonicalizeHostname without domains is a
# KeyError, a missing word an IndexError.
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True)
class Settings:
    """Settings say how to reach one host.

    identities: key files that exist. missing: key files that were named and do not exist.
    remembers: the file for new host keys. agent: the socket of the user's agent; empty if it is not
    used. trusts_localhost: whether this machine is trusted without its key. key_command: whether
    KnownHostsCommand is set. asks: whether ssh asks about an unknown host key. connect_timeout:
    seconds. tokens: the values of %h and the like in ProxyCommand. overrides: options that undo
    settings which break a command in a terminal. alive: whether ssh_config sets how ssh notices a
    lost host.
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
        """The name of the host's key in known_hosts; a port other than 22 is part of it."""
        if self.host_key_alias:
            return self.host_key_alias
        name = self.hostname.lower()
        return name if self.port == 22 else f"[{name}]:{self.port}"

    @property
    def other_key_name(self) -> str | None:
        """The name without its port, which ssh looks up where `key_name` is not known."""
        return None if self.host_key_alias or self.port == 22 else self.hostname.lower()


class Settler:
    """Settler finds the settings of hosts in ssh_config; the hostfile has precedence.

    ssh is asked once for all hosts that ssh_config treats alike: a process for each host would cost
    more than all the rest. config: a file in place of the usual ones. ssh: the program to ask;
    where there is none, paramiko's reader is used.
    """

    def __init__(self, config: str | None = None, *, ssh: str | None = "ssh") -> None:
        self._config = config
        self._ssh = None if ssh is None else shutil.which(ssh)
        self._lock = threading.Lock()
        self._files: dict[str | None, Patterns | None] = {}
        self._answers: dict[object, _Answer] = {}

    def settings(self, target: Target) -> Settings:
        """Return the settings of one host.

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
        # Threads with a host like this one wait here for the first to ask. The lock of the Settler
        # is free meanwhile: other hosts are not held up by a slow `Match exec`.
        with answer.lock:
            if answer.values is None:
                answer.values = _ask_ssh(self._ssh, target, config)
                answer.address = target.address
            values = answer.values
        # ssh -G prints the address itself where no HostName is set; then this host has its own.
        if values.get("hostname") == [answer.address.lower()]:
            values = {**values, "hostname": [target.address.lower()]}
        return _settings(target, values)


class _Answer:
    """What ssh said about `address`; the lock is held while ssh is asked."""

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
    # ssh -G prints these, and IdentityAgent, with tokens expanded. Expanding again would change a
    # path that contains a per cent sign.
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
    """Return the options that undo user settings which would break a command in a terminal.

    Only the necessary ones: older versions of ssh refuse options that they do not know.
    """
    return tuple(
        f"{name}={wanted[0]}"
        for name, wanted in _WANTED.items()
        if values.get(name.lower(), [wanted[0]])[0].lower() not in wanted
    )


def _port(text: str) -> int:
    """Check a port as ssh does; paramiko's reader passes on any text."""
    if not _DIGITS.fullmatch(text) or not 0 < int(text) < 65536:
        raise HostError(
            f"ssh_config: a port is from 1 to 65535, not {printable(text, 20)!r}", kind="config"
        )
    return int(text)


def _agent(value: str) -> str:
    # IdentityAgent is "none", a variable that holds the path of the socket, or the path.
    if value.lower() == "none":
        return ""
    if value == "SSH_AUTH_SOCK" or re.fullmatch(r"\$\w+", value):
        return os.environ.get(value.lstrip("$"), "")
    return expand_path(value, {})


def arguments(target: Target, config: str | None) -> list[str]:
    """Return the options with which OpenSSH's client reaches a host as the hostfile says."""
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
    """Return the options that OpenSSH's client needs for a command of ours in a terminal.

    host_lost_after: seconds of silence after which a host is lost, unless ssh_config sets it.
    """
    wanted = ["ControlPath=none", *settings.overrides]
    if not settings.alive:
        # ssh asks the server after each interval of silence, and exits when one more would begin.
        # It exits at nine tenths of the time, so that the question which we ask then is in time.
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
    """Return the ssh command with which a person logs in to a host as genvx does.

    plain_key: the kind of host key that ssh shall ask about and remember; "" for none. authority:
    whether a certificate authority is known for the host; ssh would accept its certificate and
    remember no key.
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
