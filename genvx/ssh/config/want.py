"""A secret that a login needs, and the error of a host that wants it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import AuthenticationFailed

if TYPE_CHECKING:
    from genvx.ssh.config.secret import Secret
    from genvx.ssh.config.target import Target


@dataclass(frozen=True)
class Want:
    """Want names a secret that a login needs.

    kind: "password" or "passphrase". of: the user, or the file of the key. host: the host that
    receives it; empty for a passphrase, which no host receives. env, command: the variable or the
    command that the hostfile names for it. written: the secret, if a file has it.
    """

    kind: str
    of: str
    host: str = ""
    env: str | None = None
    command: str | None = None
    written: Secret | None = None

    @classmethod
    def password(cls, target: Target, user: str) -> Want:
        """Want the password of `user` at a host."""
        # With a key on its line, the hostfile names the passphrase of the key. Sending that to a
        # host as a password would give it away.
        if target.key:
            return cls("password", user, target.name)
        return cls("password", user, target.name, *_named(target))

    @classmethod
    def passphrase(cls, target: Target, path: str) -> Want:
        """Want the passphrase of the key in a file."""
        if target.key:
            return cls("passphrase", path, "", *_named(target))
        return cls("passphrase", path)

    @property
    def source(self) -> tuple[str, str, str | None, str | None, Secret | None]:
        """Where the secret comes from: one answer serves all wants with the same source."""
        return (self.kind, self.of, self.env, self.command, self.written)

    def __str__(self) -> str:
        return f"the {self.kind} of {printable(self.of, 200)}"


def _named(target: Target) -> tuple[str | None, str | None, Secret | None]:
    return target.password_env, target.password_command, target.password


class Locked(AuthenticationFailed):
    """A host would accept a secret that is not known yet, or that was wrong.

    want: the secret; None if there is no way to fetch it.
    """

    def __init__(self, message: str, want: Want | None = None) -> None:
        super().__init__(message)
        self.want = want
