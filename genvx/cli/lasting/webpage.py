"""genvx web: says where the page is, and serves it until a signal ends it."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from genvx.cli.lasting.ending import until_signal
from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import InvalidInput
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.cli.ask.where import Where
    from genvx.core.runs.runinfo import RunInfo
    from genvx.watching.sight import Sight
    from genvx.watching.web.lastday import LastDay
    from genvx.watching.web.seen import Seen

_LEAST_TOKEN, _MOST_TOKEN = 16, 256


@value
class Wanted:
    """The options of genvx web. token: a file. names: of this machine, as browsers know it.
    history: a file; None is the usual one.
    """

    listen: str
    token: str | None
    names: tuple[str, ...] = ()
    actions: bool = False
    history: str | None = None
    label_users: bool = False


def serve(where: Where, wanted: Wanted) -> int:
    """Serve the page until a signal; return the exit code: 130 after Ctrl-C, else 0.

    Raises:
        InvalidInput: the options are wrong, or Starlette or uvicorn is not installed. StateError:
        the address cannot be listened at.
    """
    return until_signal(lambda: _serve(where, wanted))


def _serve(where: Where, wanted: Wanted) -> None:
    from genvx.cli.schema.page import plain_sight
    from genvx.cli.schema.runs import plain_run
    from genvx.watching.server import parse_address
    from genvx.watching.web.looks import Looks
    from genvx.watching.web.picture import Picture
    from genvx.watching.web.seen import Seen

    try:
        from genvx.watching.web.app import Page
        from genvx.watching.web.server import WebServer, bound, is_loopback
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise InvalidInput(
            "genvx web needs Starlette and uvicorn: pip install 'genvx[web]'"
        ) from None

    with ExitStack() as stack:
        # What can be refused comes before the first host is asked.
        listening = stack.enter_context(bound(parse_address(wanted.listen)))
        loopback = is_loopback(listening)
        if not loopback and wanted.token is None:
            raise InvalidInput(
                f"--listen {printable(wanted.listen, 60)} is reached from other machines; "
                "--token FILE shows the page only to those who have the token in FILE"
            )
        if wanted.history is not None:
            _require_history(_absolute(wanted.history))
        token = None if wanted.token is None else token_in(wanted.token)
        acts, act_token = None, None
        if wanted.actions:
            from genvx.watching.web.acts import Acts

            # Of this process only, and never on a disk.
            acts, act_token = Acts(), secrets.token_urlsafe(32)
        fleet = stack.enter_context(where.fleet())
        picture = Picture([host.name for host in fleet.hosts])
        seen = Seen()

        def show(sight: Sight, runs: Sequence[RunInfo] | None, user: str | None) -> None:
            seen.take(sight)
            picture.show(plain_sight(sight, runs, user))

        looks = Looks(fleet, show) if acts is None else Looks(fleet, show, who=acts.user)
        stack.callback(looks.stop)
        day = _last_day(where, wanted, seen, [host.name for host in fleet.hosts])
        page = Page(fleet, picture, looks, day, plain_run, acts)
        server = WebServer(listening, page, page.app(token, wanted.names, act_token), picture)
        server.start()
        stack.callback(server.stop)
        given = {"token": token, "actions": act_token}
        words = "&".join(f"{key}={word}" for key, word in given.items() if word is not None)
        where.note(f"the page is at {server.url}" + (words and f"#{words}"))
        if acts is not None:
            say(
                "genvx: everybody who has this address can release and stop what is yours; "
                "show it to nobody"
            )
        if not loopback:
            say("genvx: the page is not encrypted on its way; put a proxy with TLS before it")
        looks.run()


def _last_day(where: Where, wanted: Wanted, seen: Seen, hosts: list[str]) -> LastDay:
    from genvx.cli.schema.page import plain_day
    from genvx.watching.places import history_to_read
    from genvx.watching.web.lastday import LastDay

    # Those who have a token see who holds what now. Who had it all day is in a file that only we
    # can read.
    users = wanted.token is None or wanted.label_users

    def history() -> Path | None:
        # Each time anew: a monitor may be started later.
        if wanted.history is not None:
            return _absolute(wanted.history)
        return history_to_read(os.environ, remote=where.remote)

    return LastDay(
        seen,
        partial(plain_day, users=users),
        history=history,
        # The monitor of this machine calls it by its host name, and we by another one.
        hosts=frozenset(hosts) if where.remote else None,
    )


def _require_history(path: Path) -> None:
    # Imported here: it needs SQLite.
    from genvx.watching.history.schema import open_to_read

    open_to_read(path).close()


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))


def token_in(path: str) -> str:
    """Return the token in a file, which only we can read; a new one, if there is no such file.

    Raises:
        InvalidInput: the file cannot be read or made, others can read it, or it has no good token.
    """
    shown = printable(path, 200)
    path = os.path.expanduser(path)
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise InvalidInput(f"--token {shown}: {error.strerror}") from None
    else:
        token = secrets.token_urlsafe(32)
        with open(made, "w", encoding="ascii") as file:
            file.write(f"{token}\n")
        return token
    try:
        # A FIFO must not keep us waiting.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as kept:
            status = os.fstat(kept.fileno())
            content = kept.read(_MOST_TOKEN + 2) if stat.S_ISREG(status.st_mode) else b""
    except OSError as error:
        raise InvalidInput(f"--token {shown}: {error.strerror}") from None
    if status.st_mode & 0o077 or status.st_uid not in (os.geteuid(), 0):
        raise InvalidInput(
            f"--token {shown}: others can read it; chmod 600 it, and change the token"
        )
    found = content.decode("ascii", "replace").strip()
    plain = found.replace("-", "").replace("_", "")
    if not _LEAST_TOKEN <= len(found) <= _MOST_TOKEN or not (plain.isalnum() and plain.isascii()):
        raise InvalidInput(
            f"--token {shown}: a token is one line of at least {_LEAST_TOKEN} letters, digits, - "
            "and _; without the file, genvx makes one"
        )
    return found
