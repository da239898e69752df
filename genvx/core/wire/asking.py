"""From an operation to its call, and back; from an operation to the form of its reply.

The tables are in several modules, each loaded when one of its operations is asked for: a question
to a host reads and writes two values, and loading the tables of all would cost more than that.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, TypeVar

from genvx._version import __version__
from genvx.core.wire.call import Call
from genvx.core.wire.operations import OPERATIONS
from genvx.errors import AgentError

if TYPE_CHECKING:
    from genvx.core.wire.operation import Operation, Wire
    from genvx.core.wire.tables import Form

R = TypeVar("R")

_NAMES = {kind: name for name, (kind, _) in OPERATIONS.items()}


def wire_named(name: str) -> Wire[Any]:
    """Return how the operation with this name travels."""
    module = importlib.import_module(f"genvx.core.wire.{OPERATIONS[name][1]}")
    wire: Wire[Any]
    (wire,) = (each for each in module.WIRES if each.name == name)
    return wire


def wire_of(kind: type[Operation[Any]]) -> Wire[Any]:
    """Return how the operations of a class travel."""
    return wire_named(_NAMES[kind.__name__])


def call_of(operation: Operation[Any], token: str) -> Call:
    """Return the call that asks for an operation."""
    wire = wire_of(type(operation))
    return Call(wire.name, token, wire.table.write(operation))


def operation_of(call: Call) -> Operation[Any]:
    """Return the operation that a call asks for.

    Raises:
        AgentError: there is no operation of that name. Malformed: its fields cannot be read.
    """
    if call.operation not in OPERATIONS:
        raise AgentError(
            f"genvx {__version__} there has no operation {call.operation!r} of genvx "
            f"{call.version} here; install the same version on both"
        )
    operation: Operation[Any] = wire_named(call.operation).table.read(call.arguments)
    return operation


def reply_form(operation: Operation[R]) -> Form[R]:
    """Return how the reply to an operation is written and read."""
    form: Form[R] = wire_of(type(operation)).reply
    return form
