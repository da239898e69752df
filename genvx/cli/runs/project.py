"""The project of a run that is detached: gathered here, and sent to the hosts that lack it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from genvx.core.value import value
from genvx.errors import InvalidInput
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from genvx.fleet.shipping.shipment import Shipment


@value
class ProjectOptions:
    """The options for a project. directory: where it is; None if there is none. yes: send it
    without a question, however large it is.
    """

    directory: str | None = None
    follow_links: bool = False
    yes: bool = False

    def chosen(self, *, load: bool) -> ProjectOptions:
        """Return these options with the directory that .genvx.toml names, if none was typed.

        load: whether to read that file.
        """
        if self.directory is not None or not load:
            return self
        from genvx.cli.ask.defaults import project

        return ProjectOptions(project(), self.follow_links, self.yes)

    def read(self) -> Shipment | None:
        """Read the project; None if there is none.

        Raises:
            InvalidInput: it cannot be sent, or is large and nobody confirmed it.
            ProjectChanged: a file is changed meanwhile.
        """
        if self.directory is None:
            return None
        if not self.directory:
            raise InvalidInput("--project is empty; it is a directory, as in --project .")
        from genvx.fleet.shipping.reading import read

        confirm = _confirmed if self.yes else _confirm
        return read(self.directory, follow_links=self.follow_links, confirm=confirm)


def _confirmed(large: str) -> None:
    """Nothing is asked."""


def _confirm(large: str) -> None:
    """Ask whether a large project is to be sent."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidInput(f"{large}; .genvxignore can leave files out, --yes sends all")
    say(f"genvx: {large}")
    sys.stderr.write("Send it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InvalidInput("the run was not started; .genvxignore can leave files out")


class SendingInterrupted(KeyboardInterrupt):
    """Ctrl-C while the code of a run was sent: no host has been asked to start it."""


@contextmanager
def sending(trees: Sequence[Shipment]) -> Iterator[Callable[[Any], None] | None]:
    """Give what sends trees to a host, unless it has them; None where there are none."""
    if not trees:
        yield None
        return
    from genvx.cli.show.sending import Sending
    from genvx.fleet.shipping.reading import shipping

    with Sending("sending code to") as shown:
        send = shipping(
            trees, lambda host: lambda done, total: shown.update(host.name, done, total)
        )

        def ship(host: Any) -> None:
            assert send is not None, "there are trees"
            try:
                send(host)
            except KeyboardInterrupt:
                raise SendingInterrupted from None

        yield ship
