"""From the values that ssh prints for a host to its settings."""

from __future__ import annotations

import getpass
import os
import re
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import HostError
from genvx.ssh.config.settings import Settings
from genvx.ssh.config.tokens import expand_path, tokens

if TYPE_CHECKING:
    from genvx.ssh.config.target import Target

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


def settings_of(target: Target, values: dict[str, list[str]]) -> Settings:
    """Return the settings of a host; what the hostfile says of it comes first.

    Raises:
        HostError: a port is none.
    """

    def one(key: str) -> str | None:
        value = values.get(key, [""])[0]
        return None if value.lower() in ("", "none") else value

    hostname = one("hostname") or target.address
    port = target.port or _port(one("port") or "22")
    user = target.user or one("user") or getpass.getuser()
    jump, command = one("proxyjump"), one("proxycommand")
    # ssh -G has been given these; paramiko's reader knows only what ssh_config says.
    if target.proxy_jump or target.proxy_command:
        jump, command = target.proxy_jump, target.proxy_command
    key_alias = target.host_key_alias or one("hostkeyalias")
    known = tokens(
        target.address,
        hostname,
        port,
        user,
        alias=key_alias,
        jump=jump,
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
    timeout = str(target.connect_timeout or one("connecttimeout") or "")
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
        host_key_alias=key_alias,
        proxy_jump=jump,
        proxy_command=command,
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
