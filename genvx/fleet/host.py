"""What is asked of one machine, wherever it is: the seam between choosing and acting.

LocalHost, SSHHost and genvx.testing.FakeHost are the same to a caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    import subprocess
    import threading
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from genvx.core.ask import Ask
    from genvx.core.command import Command, Running, Stream
    from genvx.core.device import Device
    from genvx.core.grant import Finding, Grant
    from genvx.core.lease import Environment
    from genvx.core.policy import Entitlement
    from genvx.core.queue import Standing
    from genvx.core.snapshot import Snapshot
    from genvx.core.wire.operations import Operation
    from genvx.errors import HostLost


class Hold(Protocol):
    """Devices that are held for as long as this object is: until `release`, the end of the
    block, or our death. `genvx.core.hold.BaseHold` says what each method does.
    """

    grant: Grant

    @property
    def host(self) -> Host: ...

    @property
    def devices(self) -> tuple[Device, ...]: ...

    @property
    def environment_id(self) -> str: ...

    def on_loss(self, call: Callable[[HostLost], object]) -> None: ...

    def start(
        self,
        command: Command,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Running: ...

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
    ) -> subprocess.CompletedProcess[bytes]: ...

    def release(self) -> None: ...

    def __enter__(self) -> Hold: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


R = TypeVar("R")
D_co = TypeVar("D_co", bound=Hold, covariant=True)


@runtime_checkable
class Host(Protocol):
    """One machine, wherever it is.

    A caller cannot tell from a value or an error where it happened.
    """

    name: str

    def snapshot(self, *, holders: bool = False) -> Snapshot: ...

    def answer(self, operation: Operation[R]) -> R: ...

    def doctor(self) -> tuple[Finding, ...]: ...

    def release(self, environment: str, *, kill: bool = False) -> Environment: ...

    def entitlement(self) -> Entitlement: ...

    def acquire(self, ask: Ask) -> Hold: ...

    def wait(
        self,
        ask: Ask,
        tell: Callable[[Standing], None] = ...,
        stop: threading.Event | None = None,
    ) -> Hold: ...

    def reserve(self, ask: Ask) -> Grant: ...

    def close(self) -> None: ...


class Giver(Host, Protocol[D_co]):
    """A host, with the kind of its holds."""

    def acquire(self, ask: Ask) -> D_co: ...

    def wait(
        self,
        ask: Ask,
        tell: Callable[[Standing], None] = ...,
        stop: threading.Event | None = None,
    ) -> D_co: ...
