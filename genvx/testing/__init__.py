"""FakeHost is a Host without a machine, for tests of programs that use genvx.

    fleet = genvx.Fleet([FakeHost("a", devices=2), FakeHost("b",
    error=genvx.HostUnreachable("gone"))])

It keeps the promises of the Host protocol, errors included; the same tests run against it and real
hosts. Nothing is executed: a script says what the commands of its runs do.
"""

from genvx.testing.hold import FakeHold, FakeRunning
from genvx.testing.host import FakeHost
from genvx.testing.runs import FakeRuns
from genvx.testing.shelf import Played

__all__ = ["FakeHold", "FakeHost", "FakeRunning", "FakeRuns", "Played"]
