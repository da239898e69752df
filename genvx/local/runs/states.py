"""The states of a run as its supervisor writes them, on a disk that may be full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.local import processes
from genvx.local.diskerror import disk_error

if TYPE_CHECKING:
    from genvx.core.runs.runstate import RunState
    from genvx.local.runs.record import RunDirectory


class States:
    """Writes the states of a run.

    unwritten: the last state, if it could not be written; it is to be tried again.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._boot = processes.boot_id()
        self._recorded = False
        self.unwritten: Optional[RunState] = None

    def write(self, state: RunState) -> bool:
        """Write a state; return whether the record has it now.

        Raises:
            StateError: it is the first one. Nothing has started, and a run without a record could
            be neither seen nor stopped.
        """
        try:
            self._directory.write_state(state, self._boot)
        except OSError as error:
            if not self._recorded:
                raise disk_error(error, f"write to {self._directory.path}") from None
            self.unwritten = state
            return False
        self._recorded, self.unwritten = True, None
        return True
