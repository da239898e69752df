"""genvx push: a directory of this machine, copied to a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from genvx.cli.ask import options
from genvx.cli.ask.where import Where, here
from genvx.cli.parse.declaring import Argument, Context, Exit, Option
from genvx.core.text import printable
from genvx.errors import GenvxError, InvalidInput, UnknownHost, kind_of
from genvx.fleet.hosts.selection import Selection
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from genvx.cli.transfers.pushing import Pushing
    from genvx.fleet.remotes.remote import Remote

Words = Annotated[
    list[str] | None,
    Argument(
        metavar="[DIR] HOST:DEST | RUN...",
        help="Directory here (default: this one), and where it goes; DEST is counted from your "
        "home there. For a remote that keeps runs: runs of this machine.",
        show_default=False,
    ),
]
Everything = Annotated[bool, Option("--all", help="Also what git ignores; never .git.")]
FollowLinks = Annotated[
    bool, Option("--follow-links", help="Send what is behind links that lead out of DIR.")
]
Delete = Annotated[
    bool, Option("--delete", help="Delete what is in DEST and not in DIR, after a question.")
]
Yes = Annotated[bool, Option("-y", "--yes", help="Delete without a question.")]
DryRun = Annotated[
    bool, Option("-n", "--dry-run", help="Only list what would be sent and deleted.")
]


def push(
    context: Context,
    words: Words = None,
    everything: Everything = False,
    follow_links: FollowLinks = False,
    delete: Delete = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: options.Json = False,
) -> None:
    """Copy a directory to a host, or runs to a shelf: only what it lacks.

    What git would track is sent, and what .genvxignore says. With genvx remote, DEST without a host
    is that directory on each of the hosts. With a remote of type s3, runs of this machine are sent,
    and copies of runs that were pulled.

    Example: genvx push data gpu-server-1:data
    """
    from genvx.cli.transfers.pushing import Pushing, split

    where = here(context)
    if where.named is not None:
        from genvx.cli.remotes.shelving import shelf_of

        shelf = None if "," in where.named else shelf_of(where.named)
        if shelf is not None:
            if everything or follow_links or delete:
                raise InvalidInput(f"{shelf.name} keeps runs; of the options only -n is for these")
            raise Exit(_push_runs(shelf, words or [], only_say=dry_run, json=json))
    if not words:
        place = "DEST" if where.remote else "HOST:DEST"
        raise InvalidInput(f"say where it goes, as in {where.typed} push DIR {place}")
    if len(words) > 2:
        raise InvalidInput("one directory and one place; several RUN are for a remote of type s3")
    # One word is where it goes.
    directory = words[0] if len(words) == 2 else "."
    host, dest = split(words[-1])
    asked = Pushing(directory, everything, follow_links, delete, yes, dry_run)
    if not asked.directory:
        raise InvalidInput("the directory is empty; . is the current one")
    if not where.remote:
        if not host:
            raise InvalidInput(
                f"say on which host, as in genvx push DIR HOST:{printable(dest, 100)}"
            )
        where = _reaching(host)
    raise Exit(_push(where, host, dest, asked, json=json))


def _push_runs(remote: Remote, wanted: list[str], *, only_say: bool, json: bool) -> int:
    """Copy runs of this machine to a shelf; return the exit code of the first that failed."""
    import os

    from genvx.cli.remotes import shelving
    from genvx.cli.schema.copies import plain_pushed_run, print_pushes
    from genvx.cli.schema.runs import plain_failed_act
    from genvx.cli.show.sending import Sending
    from genvx.cli.verbs.runs.several import places
    from genvx.fleet.shelves.opening import store_of

    if not wanted:
        raise InvalidInput(f"which runs? genvx --remote {remote.name} push RUN...; 1 is the latest")
    if "" in wanted:
        raise InvalidInput("RUN is empty; give an id, a name, or 1 for the latest run")
    code, done = 0, []
    machine = Where()
    store = store_of(remote, os.environ, lambda line: say(f"genvx: {printable(line)}"))
    with machine.fleet() as fleet, Sending("pushing to") as shown:
        for host, run in places(machine, fleet, wanted):
            try:
                put = shelving.push(
                    store,
                    host,
                    run,
                    lambda sent, total: shown.update(store.name, sent, total),
                    only_say=only_say,
                )
            except KeyboardInterrupt:
                shown.clear()
                say("genvx: interrupted; what has come is not sent again, and push goes on there")
                return INTERRUPTED
            except GenvxError as error:
                shown.clear()
                say(f"genvx: {error}")
                code = code or error.exit_code
                done.append(plain_failed_act(store.name, run.id, error))
                continue
            shown.clear()
            done.append(plain_pushed_run(store.name, remote.where, put, run))
            if not json:
                print(shelving.summary(store.name, run, put, only_say=only_say), flush=True)
    if json:
        print_pushes(done, only_said=only_say)
    return code


def _reaching(host: str) -> Where:
    """How a host is reached: as its line in the hostfile says, else by its name."""
    usual = Where(remote=True)
    try:
        usual.remote_fleet(Selection(hosts=(host,))).close()
    except UnknownHost:
        return Where(remote=True, hosts=host)
    return usual


def _push(where: Where, host: str, dest: str, asked: Pushing, *, json: bool) -> int:
    from genvx.cli.schema.copies import plain_failed_push, plain_push, print_pushes
    from genvx.cli.show.sending import Sending
    from genvx.cli.transfers.pushing import push as copy
    from genvx.cli.transfers.pushing import summary

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
