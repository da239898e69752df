"""Host and Hold: what every machine can do, wherever it is; the seam between choosing and acting.

LocalHost, SSHHost and genvx.testing.FakeHost behave the same; tests/fleet/test_host_protocol.py
holds them to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    import subprocess
    import threading
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from genvx.core.command import Command
    from genvx.core.device import Device
    from genvx.core.finding import Finding
    from genvx.core.leases.environment import Environment
    from genvx.core.leases.grant import Grant
    from genvx.core.line.standing import Standing
    from genvx.core.policies.policy import Entitlement
    from genvx.core.requests.ask import Ask
    from genvx.core.running import Running, Stream
    from genvx.core.snapshot import Snapshot
    from genvx.core.wire.operation import Operation
    from genvx.errors import HostLost


class Hold(Protocol):
    """Hold keeps devices until `release`, the end of its block, or the end of this process.

    `genvx.core.leases.hold.BaseHold` has the details of each method.
    """

    grant: Grant

    @property
    def host(self) -> Host:
        """The host of the devices."""

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices that are held."""

    @property
    def environment_id(self) -> str:
        """The id of the environment that holds them."""

    def on_loss(self, call: Callable[[HostLost], object]) -> None:
        """Call `call`, in another thread, if the host is lost."""

    def start(
        self,
        command: Command,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Running:
        """Start a command on the devices and return without waiting for its end.

        Raises:
            InvalidInput: the command, the directory or a variable is invalid. HostError: the host
            could not be asked.
        """

    def run(
        self,
        command: Command,
        *,
        check: bool = False,
        capture_output: bool = False,
        input: bytes | None = None,
        timeout: float | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command on the devices to its end, like `subprocess.run`; `timeout` in seconds."""

    def release(self) -> None:
        """Release the devices and return when they are free for others. Idempotent."""

    def __enter__(self) -> Hold: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


R = TypeVar("R")
D_co = TypeVar("D_co", bound=Hold, covariant=True)


# isinstance() checks only that an object has all these methods; it is used in tests.
@runtime_checkable
class Host(Protocol):
    """Host is one machine; values and errors do not show whether it is this one or another.

    Every method of a remote host may raise HostError: the host could not be asked, or was lost.
    """

    name: str

    def snapshot(self, *, holders: bool = False, sensors: bool = False) -> Snapshot:
        """Take a snapshot of devices, environments and lines; with `holders`, also of processes,
        and with `sensors` of power, temperatures, clocks and errors of memory.
        """

    def answer(self, operation: Operation[R]) -> R:
        """Perform an operation with one reply, and return the reply."""

    def doctor(self) -> tuple[Finding, ...]:
        """Examine everything that genvx needs on the host; faults are findings, not errors."""

    def release(self, environment: str, *, kill: bool = False) -> Environment:
        """End an environment of one's own, by id or name; with `kill`, also its processes.

        Raises:
            UnknownEnvironment: there is none.
        """

    def entitlement(self) -> Entitlement:
        """Return what the policy of the host allows us."""

    def acquire(self, ask: Ask) -> Hold:
        """Take devices for a new environment, or raise and change nothing.

        Raises:
            NoCapacity: too few devices are available now. Unsatisfiable: they never can be.
        """

    def wait(
        self,
        ask: Ask,
        tell: Callable[[Standing], None] = ...,
        stop: threading.Event | None = None,
    ) -> Hold:
        """Take devices as `acquire` does, and wait in line for them up to the ask's patience.

        tell: called with the place in the line, now and then. stop: ends the waiting when set.

        Raises:
            WaitedTooLong: the patience is over, or `stop` was set. Unsatisfiable: they never can be
            available.
        """

    def reserve(self, ask: Ask) -> Grant:
        """Take devices without a holder, for as long as the ask lasts.

        Raises: as `acquire`.
        """

    def close(self) -> None:
        """Close the connection, if there is one; what holds devices through it releases them."""


class Giver(Host, Protocol[D_co]):
    """Giver is a Host whose holds have a known type."""

    def acquire(self, ask: Ask) -> D_co:
        """Take devices as `Host.acquire` does."""

    def wait(
        self,
        ask: Ask,
        tell: Callable[[Standing], None] = ...,
        stop: threading.Event | None = None,
    ) -> D_co:
        """Take devices as `Host.wait` does."""
