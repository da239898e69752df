"""genvx remote cluster: starts a cluster, waits until it is ready, and holds or leaves it."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from genvx.cli.runs.detach import beginning, submitted
from genvx.core.runs.entry import ending_of
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.engines.cluster import Holder
from genvx.errors import GenvxError
from genvx.fleet.detaching.run import Run
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.cli.ask.request import Request
    from genvx.cli.ask.where import Where
    from genvx.cli.runs.detach import Detach, Several
    from genvx.engines.plan import Plan


def start(where: Where, request: Request, plan: Plan, asked: Detach, several: Several) -> int:
    """Start the cluster; return the exit code: that of its command, if it is not left to itself."""
    from genvx.fleet.shipping.reading import until_unchanged

    asked = replace(asked, variables={**asked.variables, **plan.variables})
    if not request.name:
        request = replace_name(request, plan.engine)
    return until_unchanged(lambda: _start(where, request, plan, asked, several), where.note)


def replace_name(request: Request, name: str) -> Request:
    """The request with a name, under which its run is listed."""
    from genvx.core.value import replace as other

    return other(request, name=name)


def _start(where: Where, request: Request, plan: Plan, asked: Detach, several: Several) -> int:
    with submitted(where, request, plan.argv, asked, several) as (_, parts):
        first, *others = parts
        run = Run(*first, *others)
        hosts = ", ".join(host.name for host in run.hosts)
        where.note(f"run {first[1].label_or_id} on {hosts} {beginning(first[1])}")
        holder = Holder(run, plan, say)
        try:
            info = holder.await_ready()
            where.note(_described(plan, info))
            if not plan.attended:
                return _leave(where, run, plan, info, holder)
            return _hold(where, run, plan, info, holder)
        except KeyboardInterrupt:
            where.note(f"ending the cluster (run {run.id})")
            return INTERRUPTED
        finally:
            # Also after an error: a cluster that is not ready is nobody's.
            left = not plan.attended and bool(holder.info) and sys.exc_info()[0] is None
            holder.close(stop=not left)


def _described(plan: Plan, info: dict[str, object]) -> str:
    nodes, gpus = int(str(info["nodes"])), float(str(info["gpus"]))
    return (
        f"{plan.title} {printable(str(info['version']), 40)} is ready: "
        f"{nodes} node{'' if nodes == 1 else 's'}, {gpus:g} GPU{'' if gpus == 1 else 's'}"
    )


def _leave(where: Where, run: Run, plan: Plan, info: dict[str, object], holder: Holder) -> int:
    """Say how to use and end a cluster that goes on without us."""
    print(run.id, flush=True)
    where.note(f"address on its hosts: {printable(str(info['address']), 100)}")
    where.note(f"to use it: {_used(where, run, info)}")
    if info.get("dashboard"):
        where.note(f"its page: {where.typed} tunnel {run.id} {info['dashboard']}")
    where.note(f"to end it: {where.typed} runs stop {run.id}")
    return 0


def _used(where: Where, run: Run, info: dict[str, object]) -> str:
    """What to type for a program that uses a cluster on its first host."""
    env = shlex.quote(printable(str(info["env"]), 200))
    there = shlex.quote(f". {env}; exec python3 program.py")
    return f"{where.typed} ssh {run.id} -- sh -c {there}"


def _hold(where: Where, run: Run, plan: Plan, info: dict[str, object], holder: Holder) -> int:
    """Hold the cluster until its command or somebody ends it."""
    if info.get("dashboard"):
        page = holder.tunnel(int(str(info["dashboard"])))
        where.note(f"its page: http://localhost:{page.port}/")
    if plan.command:
        for piece in run.pieces(node=0):
            sys.stdout.buffer.write(piece.data)
            sys.stdout.buffer.flush()
        return run.wait() or 0
    with _credentials(plan) as shown:
        if info.get("client"):
            tunnel = holder.tunnel(int(str(info["client"])))
            where.note(f"for programs of this machine, type first: {shown}")
            scheme = "ray" if plan.engine == "ray" else "tls"
            print(f"{scheme}://127.0.0.1:{tunnel.port}", flush=True)
        else:
            where.note(f"to use it on its hosts: {_used(where, run, info)}")
            print(printable(str(info["address"]), 100), flush=True)
        where.note("Ctrl-C ends the cluster")
        code = run.wait() or 0
    why = ending_of(run.info.state)
    if code:
        raise GenvxError(f"the cluster has ended: {why}; {holder.failure()}")
    where.note(f"the cluster has ended: {why}")
    return 0


@contextmanager
def _credentials(plan: Plan) -> Iterator[str]:
    """Write what lets programs of this machine in, for us alone; give the line for their shell."""
    with tempfile.TemporaryDirectory(prefix="genvx-cluster-") as directory:

        def write(name: str, text: str) -> str:
            path = os.path.join(directory, name)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
            return path

        if plan.engine == "ray":
            token = write("token", plan.token)
            yield f"export RAY_AUTH_MODE=token RAY_AUTH_TOKEN= RAY_AUTH_TOKEN_PATH={token}"
        else:
            tls = "DASK_DISTRIBUTED__COMM__TLS__"
            cert, key = write("cert.pem", plan.pair[0]), write("key.pem", plan.pair[1])
            yield f"export {tls}CA_FILE={cert} {tls}CLIENT__CERT={cert} {tls}CLIENT__KEY={key}"
