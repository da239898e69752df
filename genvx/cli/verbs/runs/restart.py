"""genvx runs restart: a new run of what another one was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.cli.ask import options
from genvx.cli.ask.runs import OneRun, located_among
from genvx.cli.ask.wants import ExcludeHost, OnlyHost, Tag, Wait
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context, Exit
from genvx.cli.show.refusal import advise
from genvx.errors import InvalidInput, NoCapacity
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.cli.ask.where import Where
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runinfo import RunInfo
    from genvx.fleet.hosts.selection import Selection


def restart(
    context: Context,
    run: OneRun = "",
    only_host: OnlyHost = None,
    exclude_host: ExcludeHost = None,
    tag: Tag = None,
    wait: Wait = None,
    json: options.Json = False,
) -> None:
    """Start a run that is over again, as a new one; print its id.

    The command, variables, options and tags are the same. It starts on the same host, or on the
    best of those that --only-host, --exclude-host or --tag select.

    Example: genvx runs restart 1
    """
    from genvx.cli.ask.requested import patience_of, selection_of
    from genvx.cli.runs.detach import announce, named_after_ctrl_c
    from genvx.fleet.detaching import moving, runs
    from genvx.fleet.detaching.submission import submitter

    where = here(context)
    verb = "runs restart" if json else None
    selection = selection_of(only_host, exclude_host, tag)
    with where.fleet() as fleet:
        parts, failed = located_among(where, fleet, run)
        host, found = parts[0]
        spec = moving.anew(moving.with_rest(found, moving.rest_of(host, found)), submitter())
        patience = spec.patience if wait is None else patience_of(wait)
        moving.require_nowhere(host, found, failed)
        try:
            if found.spec.part is not None:
                again = _gang(where, parts, spec, selection, patience)
                raise Exit(announce(where, again, verb=verb))
            if selection:
                with where.fleet(selection) as chosen:
                    hosts: Any = chosen
                    seen = where.look(chosen)
                    with named_after_ctrl_c(where, spec):
                        host, started = runs.submit(
                            hosts, spec, seen, patience=patience, tags=found.tags
                        )
            else:
                with named_after_ctrl_c(where, spec):
                    started = runs.submit_to(host, spec, patience=patience, tags=found.tags)
        except NoCapacity as error:
            if patience is None:
                advise(error)
            raise
    raise Exit(announce(where, ((host, started),), verb=verb))


def _gang(
    where: Where,
    parts: Sequence[tuple[Any, RunInfo]],
    spec: RunSpec,
    selection: Selection,
    patience: float | None,
) -> tuple[tuple[Any, RunInfo], ...]:
    """Start a run on several hosts again: on the same, or on the best of those selected."""
    from genvx.fleet.detaching.rungang import submit_again
    from genvx.fleet.hosts.selection import Selection

    before = parts[0][1]
    if not where.remote:
        raise InvalidInput(
            f"run {before.id} is on several hosts; genvx remote runs restart starts it again"
        )
    same = Selection(hosts=tuple(host.name for host, _ in parts))
    with where.remote_fleet(selection or same) as fleet:
        return submit_again(
            fleet, before, spec, patience=patience, say=lambda line: say(f"genvx: {line}")
        )
