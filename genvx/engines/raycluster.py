"""`genvx.ray.Cluster`: a Ray cluster that a program holds, and reaches through a tunnel."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

from genvx.engines.cluster import Holder, legible
from genvx.engines.plan import TAG, Plan
from genvx.engines.raytoken import Token
from genvx.errors import GenvxError, InvalidInput

if TYPE_CHECKING:
    from types import TracebackType

    from genvx import Fleet, Run

_TOKEN = Token()


class Cluster:
    """Cluster is Ray on the GPUs of a fleet, as long as this program has it.

    Each of its `nodes` is a host with a lease of `gpus` GPUs; the first has Ray's head, too.
    `ray.init(cluster.address)` works with it, and all ends with the block, at `close`, and when
    this program ends in any way. Import genvx.ray before ray: that sets the variables by which Ray
    knows the token of these clusters.

    address: for `ray.init`. dashboard: the URL of Ray's page here, which asks for the `token`; None
    where the hosts have none. run: its run.
    """

    def __init__(
        self, fleet: Fleet, nodes: int = 1, gpus: int = 1, *, name: str = "ray", **more: Any
    ) -> None:
        """Start it, and return once all nodes are there. gpus: of each. more: as for `Fleet.run`,
        such as python, project, memory, wait and env; python is where Ray is, of our version.

        Raises:
            NoCapacity: there is no room for it. InvalidInput: an argument makes no sense, or Ray
            was imported first. GenvxError: it did not start; Ray is not installed there, for
            example.
        """
        _TOKEN.require()
        if type(nodes) is not int or nodes < 1:
            raise InvalidInput(f"nodes is a number of hosts from 1, not {nodes!r}")
        if type(gpus) is not int or gpus < 0:
            raise InvalidInput(f"gpus is a number, not {gpus!r}")
        ours = _our_version()
        self.token = _TOKEN.text
        plan = Plan("ray", token=self.token)
        more["env"] = {**(more.get("env") or {}), **plan.variables}
        more["tags"] = [TAG, *more.get("tags", ())]
        self.run: Run = fleet.run(plan.argv, gpus, detach=True, nodes=nodes, name=name, **more)
        self._holder = Holder(self.run, plan)
        try:
            info = self._holder.await_ready()
            _require_same(ours, info)
            self.address = f"ray://127.0.0.1:{self._holder.tunnel(int(info['client'])).port}"
            page = int(info["dashboard"])
            self.dashboard = f"http://localhost:{self._holder.tunnel(page).port}/" if page else None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End it, and return once its GPUs are free."""
        self._holder.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _our_version() -> tuple[str, str]:
    """Our version of Ray, and that of Python as Ray compares it."""
    try:
        return metadata.version("ray"), "{}.{}".format(*sys.version_info)
    except metadata.PackageNotFoundError:
        raise InvalidInput("genvx.ray.Cluster needs Ray: pip install 'genvx[ray]'") from None


def _require_same(ours: tuple[str, str], info: dict[str, Any]) -> None:
    """Raise GenvxError unless Ray would let us in there: it does not say so in one line."""
    if not info["client"]:
        raise GenvxError("programs here do not reach this Ray: pip install 'ray[default]' there")
    theirs = str(info["version"]), str(info["python"])
    if theirs != ours:
        raise GenvxError(
            f"the hosts have Ray {legible(theirs[0])} with Python {legible(theirs[1])}, this "
            f"program has Ray {ours[0]} with Python {ours[1]}; both need the same"
        )
