"""genvx push: a directory of this machine, copied to a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from genvx.cli.ask import options
from genvx.cli.ask.where import Where, here
from genvx.core.text import printable
from genvx.errors import GenvxError, InvalidInput, UnknownHost, kind_of
from genvx.fleet.hosts.hostspec import Selection
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from genvx.cli.pushing import Pushing

Directory = Annotated[
    str | None,
    typer.Argument(metavar="DIR", help="Directory here (default: this one).", show_default=False),
]
Target = Annotated[
    str | None,
    typer.Argument(
        metavar="HOST:DEST",
        help="Where it goes; DEST is counted from your home there.",
        show_default=False,
    ),
]
Everything = Annotated[bool, typer.Option("--all", help="Also what git ignores; never .git.")]
FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Send what is behind links that lead out of DIR.")
]
Delete = Annotated[
    bool, typer.Option("--delete", help="Delete what is in DEST and not in DIR, after a question.")
]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Delete without a question.")]
DryRun = Annotated[
    bool, typer.Option("-n", "--dry-run", help="Only list what would be sent and deleted.")
]


def push(
    context: typer.Context,
    directory: Directory = None,
    target: Target = None,
    everything: Everything = False,
    follow_links: FollowLinks = False,
    delete: Delete = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: options.Json = False,
) -> None:
    """Copy a directory to a host: only what it lacks.

    What git would track is sent, and what .genvxignore says. With genvx remote, DEST without a host
    is that directory on each of the hosts.

    Example: genvx push data gpu-server-1:data
    """
    from genvx.cli.pushing import Pushing, split

    if target is None:
        directory, target = ".", directory  # one word is where it goes
    if target is None:
        raise InvalidInput("say where it goes, as in genvx push DIR HOST:DEST")
    host, dest = split(target)
    asked = Pushing(directory or "", everything, follow_links, delete, yes, dry_run)
    if not asked.directory:
        raise InvalidInput("the directory is empty; . is the current one")
    where = here(context)
    if not where.remote:
        if not host:
            raise InvalidInput(
                f"say on which host, as in genvx push DIR HOST:{printable(dest, 100)}"
            )
        where = _reaching(host)
    raise typer.Exit(_push(where, host, dest, asked, json=json))


def _reaching(host: str) -> Where:
    """How a host is reached: as its line in the hostfile says, else by its name."""
    usual = Where(remote=True)
    try:
        usual.remote_fleet(Selection(hosts=(host,))).close()
    except UnknownHost:
        return Where(remote=True, hosts=host)
    return usual


def _push(where: Where, host: str, dest: str, asked: Pushing, *, json: bool) -> int:
    from genvx.cli.pushing import push as copy
    from genvx.cli.pushing import summary
    from genvx.cli.schema.copies import plain_failed_push, plain_push, print_pushes
    from genvx.cli.show.sending import Sending

    code, done = 0, []
    chosen = Selection(hosts=(host,)) if host else None
    with where.remote_fleet(chosen) as fleet, Sending("pushing to") as shown:
        for each in fleet.hosts:  # hosts with one home get it from the first of them
            try:
                pushed: Any = copy(each, dest, asked, shown)
            except InvalidInput:
                raise
            except GenvxError as error:
                say(f"{each.name}: {kind_of(error)}: {error}")
                code = code or error.exit_code
                done.append(plain_failed_push(each.name, dest, error))
                continue
            except KeyboardInterrupt:
                shown.clear()
                say(f"genvx: interrupted; {each.name} keeps what has come, and push goes on there")
                return INTERRUPTED
            shown.clear()
            done.append(plain_push(each.name, dest, pushed.landed, pushed.changed, pushed.extra))
            if not json:
                for line in summary(each.name, dest, pushed, only_say=asked.only_say):
                    print(line, flush=True)
    if json:
        print_pushes(done, only_said=asked.only_say)
    return code
