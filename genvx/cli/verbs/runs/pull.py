"""genvx pull: what a run has made, copied to this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

from genvx.cli.ask import options
from genvx.cli.ask.runs import EMPTY_RUN, WHICH, located_among
from genvx.cli.ask.where import Where, here
from genvx.cli.parse.declaring import Argument, Context, Exit, Option
from genvx.core.text import is_identifier
from genvx.errors import GenvxError, InvalidInput, kind_of
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from genvx.cli.transfers.pulling import Pull
    from genvx.core.runs.runinfo import RunInfo

Wanted = Annotated[
    list[str] | None,
    Argument(
        metavar="[RUN...] [DEST]",
        help=f"{WHICH} DEST: directory for its log and files (default: among the runs of this "
        "machine). A second word that is an id or a number is a RUN.",
        show_default=False,
    ),
]
Only = Annotated[
    list[str] | None,
    Option("--only", metavar="GLOB", help="Only files whose name, or path, fits this."),
]
Everything = Annotated[
    bool, Option("--all", help="Also the files of its project that it has not changed.")
]
Bare = Annotated[
    str | None,
    Option("-o", "--output", metavar="DIR", help="Copy just its files, into this directory."),
]
Delete = Annotated[
    bool,
    Option("--delete", help="Delete what the run has not any more; in a DEST, it asks."),
]
Yes = Annotated[bool, Option("-y", "--yes", help="Delete without a question.")]
DryRun = Annotated[
    bool, Option("-n", "--dry-run", help="Only say what would be copied and deleted.")
]


def pull(
    context: Context,
    words: Wanted = None,
    only: Only = None,
    everything: Everything = False,
    output: Bare = None,
    delete: Delete = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: options.Json = False,
) -> None:
    """Copy what runs have made to this machine.

    That is the log of each run, and the files in its directory that were not in its project. genvx
    runs shows the copy, too. What is here already is not copied again, and a copy that was cut goes
    on. From a run that is alive, it copies what is there now.

    Example: genvx remote pull train --only '*.pt'
    """
    from genvx.cli.transfers.pulling import Pull

    where = here(context)
    wanted, dest = _split(words or [""])
    if words and "" in wanted:
        raise InvalidInput(EMPTY_RUN)
    if dest is not None and output is not None:
        raise InvalidInput("give either DEST or --output")
    if "" in (dest, output):
        raise InvalidInput("the directory is empty; . is the current one")
    if "" in (only or ()):
        raise InvalidInput("--only needs a pattern, as in --only '*.pt'")
    asked = Pull(
        output if dest is None else dest,
        tuple(only or ()),
        everything,
        output is not None,
        delete,
        yes,
        dry_run,
    )
    if len(wanted) > 1 and asked.directory is not None:
        raise InvalidInput("several runs go among the runs of this machine; one has a directory")
    if not where.remote and asked.directory is None:
        if len(wanted) > 1:
            raise InvalidInput("one copy is pulled again at a time, without genvx remote")
        where, wanted[0], asked = _origin(where, wanted[0], asked)
    raise Exit(pull_runs(where, wanted, asked, json=json))


def _split(words: list[str]) -> tuple[list[str], str | None]:
    """Return the runs that are meant, and DEST."""
    if len(words) == 2:
        word = words[1]
        looks_so = (word.isdecimal() and len(word) <= 3) or (
            len(word) >= 4 and is_identifier(word) and not os.path.lexists(word)
        )
        if not looks_so:
            return words[:1], word
    return words, None


def _origin(where: Where, wanted: str, asked: Pull) -> tuple[Where, str, Pull]:
    """Where a copy on this machine came from, and what of it was copied before."""
    from genvx.cli.transfers.copies import origin
    from genvx.cli.transfers.pulling import require_elsewhere
    from genvx.core.value import replace

    with where.runs_fleet() as fleet:
        (_, found), *_ = located_among(where, fleet, wanted)[0]
    if found.pulled is None:
        require_elsewhere(found)
    assert found.pulled is not None
    if not asked.only and not asked.everything:
        asked = replace(asked, only=found.pulled.only, everything=found.pulled.everything)
    return origin(found.pulled, found.id), found.id, asked


def pull_runs(where: Where, wanted: list[str], asked: Pull, *, json: bool = False) -> int:
    """Copy runs, with all their parts; print what was copied, and return the exit code.

    All are found before one is copied.
    """
    from genvx.cli.schema.copies import plain_pull, print_pulls
    from genvx.cli.schema.runs import plain_failed_act
    from genvx.cli.show.sending import Sending
    from genvx.cli.transfers.pulling import pulled, summary, tell_left_out
    from genvx.core.value import replace

    code, done = 0, []
    with where.runs_fleet() as fleet, Sending("pulling from") as shown:
        parts: list[tuple[Any, RunInfo]] = []
        for one in wanted:
            these, failed = located_among(where, fleet, one)
            _tell_missing(where, [run for _, run in these], failed)
            parts += [each for each in these if each not in parts]
        for host, found in parts:
            each = asked
            if asked.directory is not None and len(parts) > 1:
                below = os.path.join(asked.directory, host.name.replace("/", "_"))
                each = replace(asked, directory=below)
            try:
                got: Any = pulled(where, host, found, each, shown)
            except KeyboardInterrupt:
                shown.clear()
                say("genvx: interrupted; what has come is kept, and pull goes on there")
                return INTERRUPTED
            except InvalidInput:
                raise
            except GenvxError as error:
                if len(parts) == 1:
                    raise
                say(f"{host.name}: {kind_of(error)}: {error}")
                code = code or error.exit_code
                done.append(plain_failed_act(host.name, found.id, error))
                continue
            shown.clear()
            tell_left_out(got)
            done.append(
                plain_pull(host.name, found, got.directory, got.landed, got.gone, got.left_out)
            )
            if not json:
                for line in summary(host.name, found, got, each, remote=where.remote):
                    print(line, flush=True)
    if json:
        print_pulls(done, only_said=asked.only_say)
    return code


def _tell_missing(where: Where, parts: list[RunInfo], failed: tuple[str, ...]) -> None:
    part = parts[0].spec.part
    if part is not None and len(parts) < len(part.nodes):
        missing = len(part.nodes) - len(parts)
        why = f"; {', '.join(failed)} did not answer" if failed else ""
        where.note(
            f"run {parts[0].label_or_id} has {len(part.nodes)} parts, and {missing} of them "
            f"{'was' if missing == 1 else 'were'} not found{why}"
        )
