"""The options of OpenSSH's client with which it reaches a host as genvx does."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from genvx.core.text import printable

if TYPE_CHECKING:
    from genvx.ssh.config.settings import Settings
    from genvx.ssh.config.target import Target


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
    if target.connect_timeout:
        options += ["-o", f"ConnectTimeout={target.connect_timeout}"]
    if target.proxy_jump:
        options += ["-o", f"ProxyJump={target.proxy_jump}"]
    if target.proxy_command:
        options += ["-o", f"ProxyCommand={target.proxy_command}"]
    if target.host_key_alias:
        options += ["-o", f"HostKeyAlias={target.host_key_alias}"]
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
