"""Asking is a shell that asks to be activated, with the functions of `genvx shell-init`."""

from __future__ import annotations

from genvx.core.value import value
from genvx.errors import InvalidInput


@value
class Asking:
    """The shell that asks. descriptor: by which it will hold its lease; None if it does not yet.

    active: it holds one already.
    """

    shell: str
    pid: int
    descriptor: int | None = None
    active: bool = False

    @classmethod
    def parse(cls, text: str) -> Asking:
        """Read "bash:PID:", "bash:PID:DESCRIPTOR" or "bash:PID:active".

        Raises:
            InvalidInput: it is neither.
        """
        shell, _, numbers = text.partition(":")
        pid, _, state = numbers.partition(":")
        if not (shell and pid.isdecimal() and (state.isdecimal() or state in ("", "active"))):
            raise InvalidInput("--in-shell is for the functions of genvx shell-init")
        descriptor = int(state) if state.isdecimal() else None
        return cls(shell, int(pid), descriptor, state == "active")
