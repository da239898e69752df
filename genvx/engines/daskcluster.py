"""`genvx.dask.Cluster`: a Dask cluster whose workers take and give leases."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from typing import TYPE_CHECKING, Any

from distributed.core import Status
from distributed.deploy.spec import ProcessInterface, SpecCluster
from distributed.security import Security

from genvx.engines.cluster import Holder
from genvx.engines.plan import TAG, Plan
from genvx.errors import GenvxError, InvalidInput

if TYPE_CHECKING:
    from genvx import Fleet, Run

# Seconds.
_LOOK = 0.2
_REGISTERED_WITHIN = 180.0


class Cluster(SpecCluster):
    """Cluster is a `distributed.SpecCluster` on the GPUs of a fleet.

    `Client(cluster)` works with it. Its scheduler is on one of the hosts and holds no GPU. Each of
    its `nodes` is a run that holds a lease of `gpus` GPUs on one host, with a worker for each GPU:
    `scale(n)` has n of them, and `adapt` as many as there is work for. A node that finds no room is
    tried again by the next call of `scale`, or by `adapt`. All ends with the block, at `close`, and
    when this program ends in any way.
    """

    def __init__(
        self,
        fleet: Fleet,
        nodes: int = 0,
        gpus: int = 1,
        *,
        name: str = "dask",
        asynchronous: bool = False,
        loop: Any = None,
        **more: Any,
    ) -> None:
        """nodes: how many leases to begin with. gpus: of each. more: as for `Fleet.run`, such as
        python, project, memory, wait and env; python is where distributed is, of our version.

        Raises:
            NoCapacity: there is no room for so many. InvalidInput: an argument makes no sense.
            GenvxError: a worker did not start; Dask is not installed there, for example.
        """
        if type(nodes) is not int or nodes < 0:
            raise InvalidInput(f"nodes is a number of leases, not {nodes!r}")
        if type(gpus) is not int or gpus < 0:
            raise InvalidInput(f"gpus is a number, not {gpus!r}")
        self.recipe = Plan("dask", workers=False)
        self._more = {**more, "tags": [TAG, *more.get("tags", ())], "name": name}
        self._fleet = fleet
        self.gpus = gpus
        self.ranks = itertools.count(1)
        certificate, key = self.recipe.pair
        security = Security(
            tls_ca_file=certificate,
            tls_client_cert=certificate,
            tls_client_key=key,
            require_encryption=True,
        )
        worker: dict[str, Any] = {"cls": _Worker, "options": {"cluster": self}}
        if gpus > 1:
            worker["group"] = [f"-{number}" for number in range(gpus)]
        self.failures: list[GenvxError] = []
        try:
            super().__init__(
                scheduler={"cls": _Scheduler, "options": {"cluster": self}},
                worker=worker,
                security=security,
                asynchronous=asynchronous,
                loop=loop,
            )
        except RuntimeError as error:
            # distributed's own, around what the start of the scheduler has raised.
            if isinstance(error.__cause__, GenvxError):
                raise error.__cause__ from None
            raise
        if nodes and not self.asynchronous:
            try:
                self.sync(self._begin, nodes)
            except BaseException:
                self.close()
                raise
        elif nodes:
            self._first = nodes

    _first = 0
    # Where the workers meet the node of the scheduler.
    meeting: tuple[str, int] | None = None

    async def _start(self) -> None:
        await super()._start()
        if self._first:
            self.scale(self._first)

    async def _begin(self, nodes: int) -> None:
        self.scale(nodes)
        await self._correct_state()
        if self.failures:
            raise self.failures[0]

    def submit(self, plan: Plan, gpus: int) -> Run:
        """Start a run of the cluster."""
        env = {**(self._more.get("env") or {}), **plan.variables}
        return self._fleet.run(plan.argv, gpus, detach=True, nodes=1, **{**self._more, "env": env})


class _Process(ProcessInterface):
    """A run with a part of the cluster."""

    def __init__(self, cluster: Cluster, name: Any = None) -> None:
        super().__init__()
        self.cluster = cluster
        self.name = name
        self.run: Run | None = None

    async def start(self) -> None:
        """Start its run, and return once it is there."""
        try:
            await asyncio.to_thread(self._start)
        except BaseException:
            await asyncio.to_thread(self._end)
            self.status = Status.failed
            raise
        await super().start()

    async def close(self) -> None:
        """End its run, and return once its GPUs are free."""
        if self.status not in (Status.closed, Status.failed):
            self.status = Status.closing
            await asyncio.to_thread(self._end)
        await super().close()

    def _start(self) -> None:
        raise NotImplementedError

    def _end(self) -> None:
        if self.run is not None:
            self.run.stop()


class _Scheduler(_Process):
    """The scheduler of a cluster. address: a tunnel to it. contact_address: for its workers."""

    _holder: Holder | None = None

    def _start(self) -> None:
        plan = self.cluster.recipe
        self.run = self.cluster.submit(plan, 0)
        self._holder = Holder(self.run, plan)
        info = self._holder.await_ready()
        tunnel = self._holder.tunnel(int(info["client"]))
        self.address = f"tls://127.0.0.1:{tunnel.port}"
        self.contact_address = str(info["address"])
        part = self.run.info.spec.part
        self.cluster.meeting = (part.address, part.port)

    def _end(self) -> None:
        if self._holder is not None:
            self._holder.close()


class _Worker(_Process):
    """The workers of one lease."""

    def __init__(self, address: str, *, cluster: Cluster, name: Any = None) -> None:
        super().__init__(cluster, name)
        self.address = address

    async def start(self) -> None:
        """Start its run. One that cannot be is none: others are, and `adapt` tries again."""
        try:
            await super().start()
        except GenvxError as error:
            cluster = self.cluster
            cluster.failures.append(error)
            cluster.worker_spec.pop(self.name, None)
            # What is left over from it is nobody's worker.
            cluster._log(f"a worker did not start: {error}")
            self.status = Status.failed

    def _start(self) -> None:
        cluster = self.cluster
        ours = cluster.recipe
        plan = Plan(
            "dask",
            head=cluster.meeting,
            name=str(self.name),
            rank=next(cluster.ranks),
            id=ours.id,
            secret=ours.secret,
            pair=ours.pair,
        )
        self.run = cluster.submit(plan, cluster.gpus)
        limit = time.monotonic() + _REGISTERED_WITHIN
        wanted = max(1, cluster.gpus)
        asked = -math.inf
        while self._registered() < wanted:
            if time.monotonic() > asked + 1.0:
                asked = time.monotonic()
                if self.run.state not in ("waiting", "preparing", "running"):
                    raise Holder(self.run, plan).failure()
            if time.monotonic() > limit:
                raise GenvxError(f"the worker of run {self.run.id} does not reach its scheduler")
            time.sleep(_LOOK)

    def _registered(self) -> int:
        names = {str(self.name), *(f"{self.name}-{n}" for n in range(self.cluster.gpus))}
        workers = list(self.cluster.scheduler_info.get("workers", {}).values())
        return sum(str(worker.get("name")) in names for worker in workers)
