"""`genvx.activate`: devices of this machine for a Python program."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from genvx.core.request import requirements_of
from genvx.local.host import LocalHost

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from types import TracebackType

    from genvx.core.device import Device
    from genvx.core.grant import Grant
    from genvx.local.hold import LocalHold


class Activation:
    """Devices of this machine that this process holds until the end of the block, `release`, or its
    death.

    Inside the block os.environ has CUDA_VISIBLE_DEVICES and its like, so a framework that is first
    used there sees these devices only; at the end they are as they were. Blocks of several threads
    at once share one os.environ.
    """

    def __init__(self, hold: LocalHold) -> None:
        self._hold = hold
        self._before: dict[str, str | None] | None = None

    @property
    def grant(self) -> Grant:
        return self._hold.grant

    @property
    def devices(self) -> tuple[Device, ...]:
        return self._hold.grant.devices

    def run(
        self, command: str | Sequence[str], *, check: bool = False
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command on these devices; a string goes through `sh -c`.

        See `subprocess.run` for the result.

        Raises:
            subprocess.CalledProcessError: `check` is true and the command failed.
            InvalidInput: there is no such command.
        """
        return self._hold.run(command, check=check)

    def release(self) -> None:
        """Give the devices back, and restore os.environ if the block was entered. Twice is once."""
        before, self._before = self._before, None
        for name, value in (before or {}).items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._hold.release()

    def __enter__(self) -> Activation:
        if self._before is None:
            variables = self.grant.variables
            self._before = {name: os.environ.get(name) for name in variables}
            os.environ.update(variables)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def activate(
    gpus: int | str = 0,
    *,
    memory: int | None = None,
    name: str = "",
    wait: float | None = None,
    time: float | None = None,
) -> Activation:
    """Take devices of this machine; the whole of each, or `memory` bytes of each.

    gpus: how many, or a request such as "A100:2". wait: seconds to wait in line at most; None does
    not wait. time: seconds after which this process is ended; by default what the policy of the
    machine says, or never.

    Raises:
        NoCapacity: not enough devices are available; the message says why, device by device.
        WaitedTooLong: they were not to be had in time. Unsatisfiable: they never are.
        InvalidInput: the request makes no sense.
        StateError: the state directory is unsafe, full or read-only.
    """
    requirements = requirements_of(gpus, memory)
    host, command = LocalHost(), " ".join(sys.argv)
    if wait is None:
        hold = host.acquire(requirements, name=name, command=command, time=time)
    else:
        hold = host.wait(requirements, name=name, command=command, patience=wait, time=time)
    hold.keep_time()
    return Activation(hold)
