"""Remotes: as a table and as JSON, and whether one is available."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from genvx.cli.ask.where import Where
from genvx.cli.schema.document import print_document
from genvx.cli.schema.hosts import answers, failed_host
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.errors import FleetError, GenvxError, HostError, InvalidInput, kind_of
from genvx.fleet.remotes.reading import load, remote_named
from genvx.shown.columns import Fitting
from genvx.shown.console import say, tell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from genvx.cli.schema.document import Plain
    from genvx.cli.show.output import Output
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.remotes.remote import Remote

_COLUMNS = ("NAME", "TYPE", "WHERE", "DESCRIPTION")
_FITTING = Fitting(
    yielding={"DESCRIPTION": 12, "WHERE": 16}, dropped=("TYPE", "DESCRIPTION"), kept=("NAME",)
)

# What is wrong with a remote that is not available, by the kind of the error.
_FAULTS = {
    "dns": "its name does not resolve",
    "refused": "it is down",
    "timeout": "it does not answer",
    "network": "no way leads there",
    "lost": "it does not answer any more",
    "host-key": "its host key is refused",
    "auth": "authentication failed",
    "agent": "genvx cannot run there",
    "protocol": "it does not speak SSH",
    "config": "ssh_config is wrong",
}


def show(output: Output) -> None:
    """Print the remotes; nothing is connected to."""
    known = load(tell=tell).remotes.values()
    if output.json:
        print_document("remotes", remotes=[_plain(each) for each in known])
        return
    rows = [[each.name, each.type or "-", each.where or "-", each.description] for each in known]
    output.table(_COLUMNS, rows, fitting=_FITTING, answered=bool(rows))
    if not rows:
        from genvx.fleet.remotes.files import usual

        tell(f"no remotes; write them into {printable(usual(os.environ))}")
    for each in known:
        for note in each.notes:
            tell(f"{each.name}: {note}")


def _plain(remote: Remote) -> Plain:
    return {
        "name": remote.name,
        "type": remote.type or None,
        "where": remote.where or None,
        "description": remote.description,
        "file": remote.place.source,
        "line": remote.place.line,
        "notes": list(remote.notes),
    }


def status(where: Where, *, json: bool = False) -> int:
    """Print whether a remote is available; return the exit code."""
    remote = remote_named(where.named or "", os.environ)
    for note in where.remote_notes():
        where.note(note)
    if remote.is_shelf:
        from genvx.cli.remotes import shelving

        return shelving.status(remote, json=json)
    more: Plain = {}
    about = remote.where
    if remote.type == "ec2":
        from genvx.cli.remotes import renting

        remote.require_ssh()
        state = renting.look(remote)
        if state.spec is None:
            if json:
                _document(remote, [], available=False, machine=state.plain)
            say(f"genvx: {state.resting}")
            return InvalidInput.exit_code
        where = replace(where, specs=(state.spec,))
        about, more = state.about, {"machine": state.plain}
    if remote.type == "slurm":
        from genvx.cli.remotes import allocating

        try:
            specs, about, job = allocating.look(remote)
        except HostError as fault:
            if json:
                _document(remote, [], available=False, job=None)
            say(f"genvx: {remote.name} ({remote.where}) is not available: {_fault(fault)}")
            return InvalidInput.exit_code
        if not specs:
            if json:
                _document(remote, [], available=False, job=job)
            say(f"genvx: {printable(about)}")
            return InvalidInput.exit_code
        where = replace(where, specs=specs)
        more = {"job": job}
    with where.remote_fleet() as fleet:
        outcomes = where.ask(fleet, lambda host: host.snapshot())
        names = [host.name for host in fleet.hosts]
        hosts = answers(fleet, outcomes, lambda snapshot: {}) if json else []
    seen = outcomes.succeeded
    if json:
        _document(remote, hosts, available=len(seen) == len(names), **more)
    head = f"{remote.name} ({about})"
    for name, error in outcomes.failed.items():
        say(f"genvx: {head if len(names) == 1 else name} is not available: {_fault(error)}")
    if seen and not json:
        which_of = "" if len(names) == 1 else f"{len(seen)} of {len(names)} hosts, "
        print(printable(f"{head} is available: {which_of}{_devices(list(seen.values()))}"))
    if outcomes.failed:
        return FleetError.exit_code if seen else InvalidInput.exit_code
    return 0


def _document(remote: Remote, hosts: list[Plain], *, available: bool, **more: Plain | None) -> None:
    which = {"name": remote.name, "type": remote.type, "where": remote.where}
    print_document("remotes status", remote=which, available=available, hosts=hosts, **more)


def _fault(error: GenvxError) -> str:
    fault = _FAULTS.get(kind_of(error))
    return f"{fault}: {error}" if fault else str(error)


def _devices(seen: Sequence[Snapshot]) -> str:
    models = Counter(device.shown_name for each in seen for device in each.devices)
    free = sum(len(each.available) for each in seen)
    errors = [each.driver.error for each in seen if each.driver.error is not None]
    if not models:
        return f"no GPU ({errors[0]})" if errors else "no GPU"
    shown = ", ".join(f"{count} x {model}" for model, count in models.items())
    return f"{shown}; {free} free"


def refuse(remote: Remote, what: str) -> NoReturn:
    """Raise InvalidInput, because the type of a remote cannot be started or stopped.

    what: "started" or "stopped".
    """
    remote.require_ssh()
    hint = "; --reinit runs its init" if what == "started" and remote.init else ""
    raise InvalidInput(
        f"remote {printable(remote.name)} is of type ssh, which cannot be started or stopped{hint}"
    )


def reinit(where: Where, *, json: bool = False) -> int:
    """Run the init of a remote on its hosts; return the first exit code that is not 0.

    json: print a document; what init prints goes to stderr then.
    """
    from genvx.fleet.plainly import end_line, start_line

    remote = remote_named(where.named or "", os.environ)
    remote.require_ssh()
    if not remote.init:
        raise InvalidInput(f"remote {printable(remote.name)} has no init to run")
    with where.remote_fleet() as fleet:
        # At once on all hosts; what they print comes host after host.
        outcomes = fleet.ask(lambda host: start_line(host, remote.init))
        found = where.report(outcomes)
        hosts = [failed_host(name, error) for name, error in outcomes.failed.items()]
        for name, channel in outcomes.succeeded.items():
            if len(fleet.hosts) > 1:
                where.note(f"init on {name}")
            try:
                code = end_line(fleet.host(name), channel, out=2 if json else 1)
                hosts.append({"host": name, "ok": True, "exit_code": code})
            except GenvxError as error:
                say(f"{name}: {kind_of(error)}: {error}")
                code = error.exit_code
                hosts.append(failed_host(name, error))
            found = found or code
    if json:
        print_document("remotes start", hosts=hosts)
    return found
