"""Passwords and passphrases: each is fetched once, and never shown.

A host that wants a secret fails with `Locked`. When the other hosts have answered, the main thread
fetches the secrets and asks the locked hosts again. So no deadline runs while a person types.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.ssh.credentials.passwordcommand import password_from

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.ssh.config.want import Want

    Prompt = Callable[[str], str | None]


class Vault:
    """Vault keeps the secrets that were fetched, in memory only.

    prompt: asks a person for a secret; None where nobody can be asked. It may be used from several
    threads.
    """

    def __init__(
        self, prompt: Prompt | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        self._prompt = prompt
        self._environ = os.environ if environ is None else environ
        self._lock = threading.Lock()
        self._known: dict[Want, str] = {}
        self._wrong: set[Want] = set()

    def get(self, want: Want) -> str | None:
        """Return the secret if it is known, written or in the environment; ask nobody."""
        with self._lock:
            if want in self._wrong:
                return None
            if want in self._known:
                return self._known[want]
        if want.written is not None:
            return want.written.text
        # An empty variable counts as not set: an empty password would use up a try at the host.
        return (self._environ.get(want.env) or None) if want.env else None

    def wrong(self, want: Want) -> None:
        """Forget a secret that was refused.

        A person is asked again. A variable, a command or a file is not: it would give the same
        answer, and lock the account after a few.
        """
        with self._lock:
            self._known.pop(want, None)
            if want.env or want.command or want.written:
                self._wrong.add(want)

    def advice(self, want: Want) -> str:
        """Return a message that says which secret is missing, and how to give it."""
        if want.env and want not in self._wrong:
            return f"wants {want}, and ${want.env} is not set"
        if want in self._wrong:
            source = "the file that has it" if want.written else "its password_command"
            return f"{want} from {'$' + want.env if want.env else source} is wrong"
        return (
            f"wants {want}: load a key into your agent, answer in a terminal, or name "
            "password_env or password_command in the hostfile or in remotes.yml"
        )

    def fetch(
        self, wants: list[Want], fits: Callable[[Want, str], bool] = lambda want, secret: True
    ) -> bool:
        """Fetch the secret of `wants`, which all have one source; return whether it is known now.

        fits: tells whether a secret is right, as far as this machine can know.

        Raises:
            AuthenticationFailed: the password_command of the hostfile fails.
        """
        first = wants[0]
        if first.env or first.written or first in self._wrong:
            return False
        for _ in range(3):
            secret = password_from(first.command) if first.command else self._asked(wants)
            if not secret:
                return False
            if fits(first, secret):
                with self._lock:
                    self._known.update(dict.fromkeys(wants, secret))
                return True
            if first.command:
                self.wrong(first)
                return False
        return False

    def _asked(self, wants: list[Want]) -> str | None:
        return None if self._prompt is None else self._prompt(_question(wants))


def _question(wants: list[Want]) -> str:
    what = str(wants[0])
    hosts = [printable(want.host, 80) for want in wants if want.host]
    if not hosts:
        return f"{what[4:].capitalize()}: "
    more = f" and {len(hosts) - 3} more" if len(hosts) > 3 else ""
    return f"{what[4:].capitalize()} on {', '.join(hosts[:3])}{more}: "
