"""Runs, and what was done to them."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from genvx.cli.schema.document import print_document
from genvx.cli.schema.hosts import failed_host, plain_error
from genvx.cli.schema.requests import plain_requirements
from genvx.core.launchers import for_people
from genvx.core.runs.debugport import PRIVATE_KEY
from genvx.core.runs.runstate import end_of, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from genvx.cli.schema.document import Plain
    from genvx.core.projects.project import Project
    from genvx.core.projects.python import Python
    from genvx.core.runs.container import Container
    from genvx.core.runs.pulled import Pulled
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.runs.trial import Trial
    from genvx.errors import GenvxError


def plain_run(item: RunInfo) -> Plain:
    """Return a run as documented: what was asked, its state, its end if it has one."""
    end = end_of(item.state)
    state = item.state
    why = getattr(state, "why", None)
    return {
        "id": item.id,
        "name": item.spec.name,
        "label": item.label,
        "tags": list(item.tags),
        "state": name_of(state),
        "note": item.note,
        "reason": getattr(state, "reason", None) or getattr(why, "value", why) or None,
        "place": getattr(state, "place", None),
        "command": list(for_people(item.spec.argv)),
        "request": plain_requirements(item.spec.requirements),
        "devices": list(getattr(state, "devices", ())),
        "submitted_epoch_seconds": round(item.spec.submitted.epoch_ns / 1e9, 3),
        "submitter": item.spec.submitter,
        "restarts": item.spec.restarted or None,
        "exit_code": None if end is None else end.exit_code,
        "seconds": None if end is None else round(end.seconds, 3),
        "user_seconds": None if end is None else end.usage.user,
        "system_seconds": None if end is None else end.usage.system,
        "memory_bytes": None if end is None else end.usage.memory,
        "gpu_memory_bytes": None if end is None else end.usage.gpu_memory,
        "gpu_utilization_percent": None if end is None else end.usage.gpu_utilization,
        "log_bytes": item.log_bytes,
        "part": None
        if item.spec.part is None
        else {"rank": item.spec.part.rank, "nodes": list(item.spec.part.nodes)},
        "project": None if item.spec.project is None else _plain_project(item.spec.project),
        "python": None if item.spec.python is None else _plain_python(item.spec.python),
        "setup": item.spec.setup or None,
        "container": None if item.spec.container is None else _container(item.spec.container),
        "notify": [each.label for each in item.spec.notifiers],
        "trial": None if item.spec.trial is None else _plain_trial(item.spec.trial),
        "reported": plain_report(item),
        "deleted": item.deleted,
        "pulled": None if item.pulled is None else _pulled(item.pulled),
        "debug_port": None if item.spec.debug_port is None else _debug_port(item),
    }


def _pulled(item: Pulled) -> Plain:
    return {
        "host": item.host,
        "epoch_seconds": round(item.epoch_ns / 1e9, 3),
        "whole": item.whole,
        "only": list(item.only),
        "all": item.everything,
    }


def _debug_port(item: RunInfo) -> Plain:
    asked, port = item.spec.debug_port, item.open_port
    assert asked is not None
    return {
        "bind": asked.bind or None,
        "keys": [
            {"kind": key.kind, "fingerprint": key.fingerprint, "comment": key.comment}
            for key in asked.public_keys
        ],
        "open": port is not None,
        "port": asked.port or None if port is None else port.port,
        "address": None if port is None else port.address,
        "user": None if port is None else port.user,
        "host_key_fingerprint": None if port is None else port.server_key.fingerprint,
        "known_hosts": None if port is None else port.known_host(item.id),
        "ssh": None if port is None else port.words(item.id, PRIVATE_KEY),
    }


def _plain_project(item: Project) -> Plain:
    return {
        "name": item.name,
        "tree": item.tree,
        "files": item.files,
        "bytes": item.size,
        "commit": item.commit or None,
        "dirty": item.dirty,
    }


def _plain_python(item: Python) -> Plain:
    return {
        "kind": item.kind.value,
        "where": item.where or None,
        "needs": item.needs or None,
        "source": item.source or None,
        "prerelease": item.prerelease,
        "offline": item.offline,
    }


def _container(item: Container) -> Plain:
    return {
        "image": item.image,
        "runtime": None if item.runtime is None else item.runtime.value,
        "mounts": [
            {"source": each.source, "target": each.target, "read_only": each.read_only}
            for each in item.mounts
        ],
    }


def _plain_trial(item: Trial) -> Plain:
    return {
        "sweep": item.sweep,
        "number": item.number,
        "parameters": dict(item.parameters),
    }


def plain_report(item: RunInfo) -> Plain | None:
    """Return what a run has reported last; None where it has reported nothing."""
    if not item.reported:
        return None
    from genvx.core.sweeps.report import read_report

    report = read_report(item.reported.encode("utf-8"))
    if report is None:
        return None
    return {
        "value": report.value if report.value is None or isfinite(report.value) else None,
        "step": report.step,
        "final": report.final,
        "more": dict(report.more),
    }


def plain_act(host: str, did: str, run: RunInfo) -> Plain:
    """Return what was done to a run on a host. run: as it is then."""
    return {"host": host, "id": run.id, "ok": True, "did": did, "run": plain_run(run)}


def plain_failed_act(host: str, run: str, error: GenvxError) -> Plain:
    """Return why something could not be done to a run on a host. run: its id."""
    return {
        "host": host,
        "id": run,
        "ok": False,
        "error": plain_error(error),
        "exit_code": error.exit_code,
    }


def print_acts(
    verb: str,
    acts: Iterable[Plain],
    failed: Mapping[str, GenvxError] | None = None,
    **more: Any,
) -> None:
    """Print the JSON document of a verb that acts on runs.

    failed: the hosts that did not say which runs they have, and why. more: what else is in it.
    """
    hosts = [failed_host(name, error) for name, error in (failed or {}).items()]
    print_document(verb, runs=list(acts), failed_hosts=hosts, **more)
