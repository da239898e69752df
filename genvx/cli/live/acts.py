"""What a person does from the screen: the same questions to hosts as those of the verbs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from genvx.core.runs.runstate import is_over, name_of
from genvx.core.text import printable
from genvx.core.wire.runoperations import StopRun
from genvx.errors import GenvxError
from genvx.fleet.detaching import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.cli.live.rows import Target
    from genvx.fleet.ask import HostGroup

    Tell = Callable[[str, str], object]


class Acts:
    """Ends environments and runs, in threads. tell: gets a line about it, and its style; called
    from these threads.
    """

    def __init__(self, fleet: HostGroup[Any], tell: Tell) -> None:
        self._fleet = fleet
        self._tell = tell

    def end(self, target: Target, *, kill: bool) -> None:
        """End an environment or a run; do not wait for it."""
        word = "stopping" if target.kind == "run" else "releasing"
        self._tell(f"{word} {target.label} …", "")
        threading.Thread(
            target=self._end, args=(target, kill), name="genvx end", daemon=True
        ).start()

    def _end(self, target: Target, kill: bool) -> None:
        try:
            if target.kind == "run":
                told = self._stop(target)
            else:
                told = self._release(target, kill)
        except GenvxError as error:
            self._tell(printable(str(error), 300), "bad")
        else:
            self._tell(told, "good")

    def _release(self, target: Target, kill: bool) -> str:
        (name,) = target.hosts
        ended = self._fleet.host(name).release(target.id, kill=kill)
        count = len(ended.devices)
        return f"Released {ended.label} on {name}: {count} device{'' if count == 1 else 's'}"

    def _stop(self, target: Target) -> str:
        hosts = [self._fleet.host(name) for name in target.hosts]
        # All parts are told before the end of one is awaited.
        told = [(host, host.answer(StopRun(target.id))) for host in hosts]
        if all(is_over(run.state) for _, run in told):
            return f"Run {target.label} has ended already ({name_of(told[0][1].state)})"
        for host, run in told:
            runs.ended(host, run)
        return f"Stopped run {target.label}"
