"""From an operation to its call, and back; from an operation to the form of its reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, TypeVar

from genvx._version import __version__
from genvx.core.wire.call import Call
from genvx.core.wire.operations import OPERATIONS
from genvx.errors import AgentError

if TYPE_CHECKING:
    from genvx.core.wire.operation import Operation, Wire
    from genvx.core.wire.tables import Form

R = TypeVar("R")

_BY_NAME = {wire.name: wire for wire in OPERATIONS.values()}


def wire_of(kind: type[Operation[Any]]) -> Wire[Any]:
    """How the operations of a class travel. Those on runs are loaded when one is asked for."""
    wire = OPERATIONS.get(kind)
    if wire is None:
        from genvx.core.wire.runoperations import RUN_OPERATIONS

        wire = RUN_OPERATIONS[kind]
    return wire


def _wire_named(name: str) -> Optional[Wire[Any]]:
    wire = _BY_NAME.get(name)
    if wire is None and name.startswith("run"):
        from genvx.core.wire.runoperations import RUN_OPERATIONS

        wire = next((each for each in RUN_OPERATIONS.values() if each.name == name), None)
    return wire


def call_of(operation: Operation[Any], token: str) -> Call:
    """Return the call that asks for an operation."""
    wire = wire_of(type(operation))
    return Call(wire.name, token, wire.table.write(operation))


def operation_of(call: Call) -> Operation[Any]:
    """Return the operation that a call asks for.

    Raises:
        AgentError: there is no operation of that name. Malformed: its fields cannot be read.
    """
    wire = _wire_named(call.operation)
    if wire is None:
        raise AgentError(
            f"genvx {__version__} there has no operation {call.operation!r} of genvx "
            f"{call.version} here; install the same version on both"
        )
    operation: Operation[Any] = wire.table.read(call.arguments)
    return operation


def reply_form(operation: Operation[R]) -> Form[R]:
    """Return how the reply to an operation is written and read."""
    form: Form[R] = wire_of(type(operation)).reply
    return form
