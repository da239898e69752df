"""Lines on stderr about the hosts of a verb: which failed, what was taken, what is wrong there."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from genvx.core.quantities.amounts import format_memory
from genvx.core.requests.ranges import ranges
from genvx.core.value import value_base
from genvx.errors import FleetError, kind_of
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from genvx.core.leases.grant import Grant
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.outcomes import Outcomes

T = TypeVar("T")

# The kind of the failure of hosts that had not answered when Ctrl-C came.
INTERRUPTED_KIND = "interrupted"


@value_base
class Reporting:
    """What people are told besides the answer. remote: hosts are named. quiet: -q was given."""

    remote: bool = False
    quiet: bool = False

    def report(self, outcomes: Outcomes[T]) -> int:
        """Print which hosts failed, a line each; return the exit code."""
        late = [e for e in outcomes.failed.values() if kind_of(e) == INTERRUPTED_KIND]
        if not self.quiet:
            for name, error in outcomes.failed.items():
                if error not in late:
                    say(f"{name}: {kind_of(error)}: {error}")
        if late:
            say(f"interrupted: {len(late)} of {len(outcomes)} hosts had not answered")
            return INTERRUPTED
        return FleetError.exit_code if outcomes.failed else 0

    def note(self, line: str) -> None:
        """Print a note about the answer, unless -q was given."""
        if not self.quiet:
            say(f"genvx: {line}")

    def landed(self, host: str, grant: Grant) -> None:
        """Print what was granted on which host, unless -q was given, and the notes of the host."""
        self.note(f"on {host}: {_devices(grant)}; environment {grant.label}")
        for note in grant.notes:
            say(f"genvx: {note}")

    def report_drivers(self, snapshots: Outcomes[Snapshot]) -> None:
        """Print the faults of drivers and devices, a line each, unless -q was given."""
        if self.quiet:
            return
        for name, snapshot in snapshots.succeeded.items():
            head = f"{name}: " if self.remote else "genvx: "
            if snapshot.driver.error is not None:
                say(f"{head}{snapshot.driver.error}")
            for note in snapshot.driver.notes:
                say(f"{head}{note}")

    def report_ends(self, snapshots: Outcomes[Snapshot]) -> None:
        """Print when the jobs of Slurm end that have the devices, a line each, unless -q was
        given.
        """
        from genvx.shown.ending import ending

        for name, snapshot in snapshots.succeeded.items():
            text = ending(snapshot)
            if text and not self.quiet:
                say(f"{name if self.remote else 'genvx'}: {text}")


def _devices(grant: Grant) -> str:
    """Return the devices of a grant in a few words, such as `GPU 0, 1`."""
    if not grant.devices:
        return "no GPU"
    part = "" if grant.memory is None else f"{format_memory(grant.memory)} of "
    return f"{part}GPU {ranges(device.label for device in grant.devices)}"
