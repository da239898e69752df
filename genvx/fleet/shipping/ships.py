"""Sending files to a host over SSH, and fetching files from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.core.projects.plan import Landed, Plan
    from genvx.core.wire.treeoperations import Pulling, PullRun, PutFiles
    from genvx.fleet.caller import Caller
    from genvx.fleet.shipping.fetching import Choose, Target
    from genvx.fleet.shipping.shipment import Sent, Shipment


class Ships:
    """A host to which files are sent, and from which they are fetched."""

    _caller: Caller

    def send_tree(self, shipment: Shipment, sent: Sent = lambda done, total: None) -> None:
        """Send the code of a run, unless it is there. Raises: as shipping.sending.send_tree."""
        from genvx.fleet.shipping.sending import send_tree

        send_tree(self._caller, shipment, sent)

    def put(
        self,
        asked: PutFiles,
        shipment: Shipment,
        decide: Callable[[Plan], Sequence[bytes]] = lambda plan: (),
        sent: Sent = lambda done, total: None,
    ) -> Landed:
        """Put files into a directory. Arguments and errors: as shipping.putting.put."""
        from genvx.fleet.shipping.putting import put

        return put(self._caller, asked, shipment, decide, sent)

    def pull(
        self,
        asked: PullRun,
        target: Target,
        got: Sent = lambda done, total: None,
        choose: Choose = lambda known: (),
    ) -> tuple[Pulling, Landed]:
        """Fetch what a run has made. Arguments and errors: as shipping.fetching.fetch."""
        from genvx.fleet.shipping.fetching import fetch

        return fetch(self._caller, asked, target, got, choose)
