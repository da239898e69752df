"""genvx runs restart: a new run of what another one was."""

from __future__ import annotations

from typing import Any

import typer

from genvx.cli.ask.request import (
    ExcludeHost,
    OnlyHost,
    Tag,
    Wait,
    patience_of,
    selection_of,
)
from genvx.cli.ask.runs import OneRun, located_among
from genvx.cli.ask.where import here
from genvx.cli.show.refusal import advise
from genvx.errors import NoCapacity


def restart(
    context: typer.Context,
    run: OneRun = "",
    only_host: OnlyHost = None,
    exclude_host: ExcludeHost = None,
    tag: Tag = None,
    wait: Wait = None,
) -> None:
    """Start a run that is over again, as a new one; print its id.

    The command, variables, options and tags are the same. It starts on the same host, or on the
    best of those that --only-host, --exclude-host or --tag select.

    Example: genvx runs restart 1
    """
    from genvx.cli.detach import announce, submitter
    from genvx.fleet import moving, runs

    where = here(context)
    selection = selection_of(only_host, exclude_host, tag)
    with where.fleet() as fleet:
        host, found, failed = located_among(where, fleet, run)
        spec = moving.anew(found, submitter())
        patience = spec.patience if wait is None else patience_of(wait)
        moving.require_nowhere(host, found, failed)
        try:
            if selection:
                with where.fleet(selection) as chosen:
                    hosts: Any = chosen
                    seen = where.look(chosen)
                    host, started = runs.submit(
                        hosts, spec, seen, patience=patience, tags=found.tags
                    )
            else:
                started = runs.submit_to(host, spec, patience=patience, tags=found.tags)
        except NoCapacity as error:
            if patience is None:
                advise(error)
            raise
    raise typer.Exit(announce(where, host.name, started))
