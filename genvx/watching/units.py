"""Units of systemd that keep a monitor, or an enforcer, running."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.watching.places import SERVICE, SERVICE_HISTORY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UNIT = f"{SERVICE}.service"
ENFORCING_UNIT = "genvx-enforce.service"


def system_unit(program: Sequence[str]) -> str:
    """Return the unit of a machine's own monitor. program: the words that start genvx."""
    command = [*program, "monitor", "--history", str(SERVICE_HISTORY)]
    return f"""\
[Unit]
Description=genvx monitor: metrics and history of the GPUs of this machine

[Service]
ExecStart={_quoted(command)}
StateDirectory={SERVICE}
StateDirectoryMode=0700
Restart=on-failure
RestartSec=10
NoNewPrivileges=yes
ProtectSystem=full
ProtectHome=read-only

[Install]
WantedBy=multi-user.target
"""


def enforcing_unit(program: Sequence[str]) -> str:
    """Return the unit of what enforces the policy of a machine, as root. program: as above."""
    # It reads every process, writes to terminals of users and deletes their leases, and its hook
    # may send mail through programs that are setgid: what systemd could take away, it needs. Nor
    # does it get a /tmp or /var/tmp of its own, where leases may be.
    return f"""\
[Unit]
Description=genvx enforce: tells and ends those who break the rules of policy.toml

[Service]
ExecStart={_quoted([*program, "enforce"])}
Environment=HOME=/root
Restart=on-failure
RestartSec=60
ProtectSystem=full

[Install]
WantedBy=multi-user.target
"""


def user_unit(command: Sequence[str], directory: str, variables: Mapping[str, str]) -> str:
    """Return a unit for one user. command: what to start, in which directory, with which
    variables.
    """
    settings = "".join(
        f"Environment={_quotes(f'{name}={text}'.replace('%', '%%'))}\n"
        for name, text in variables.items()
    )
    return f"""\
[Unit]
Description=genvx monitor: metrics and history of GPUs

[Service]
WorkingDirectory={directory.replace("%", "%%")}
{settings}ExecStart={_quoted(command)}
Restart=on-failure
RestartSec=10

[Install]
WantedBy=default.target
"""


def _quoted(words: Sequence[str]) -> str:
    """Words as systemd reads them: it splits at spaces, and expands % and $."""
    return " ".join(_word(word) for word in words)


def _word(word: str) -> str:
    word = word.replace("%", "%%").replace("$", "$$")
    plain = word and all(each.isalnum() or each in "/._-+:=,@%$" for each in word)
    if plain:
        return word
    return _quotes(word)


def _quotes(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
