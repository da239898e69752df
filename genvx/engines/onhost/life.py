"""A node from its start to its end, and why it cannot be."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

# The exit code where a program is missing, as a shell has it.
MISSING = 127
NO_COMMAND = "command not found: "
# The variable with what the client says of the cluster. The name says that it is a secret.
SECRET = "GENVX_CLUSTER_SECRET"


class Failure(Exception):
    """The cluster cannot be, for a reason that is told in one line; `code` is the exit code."""

    def __init__(self, why: str, code: int = 1) -> None:
        super().__init__(why)
        self.code = code


class Node(Protocol):
    """A part of a cluster or a job."""

    def run(self) -> int:
        """Start what it has, and be there; return the exit code."""

    def end(self) -> None:
        """End what was started."""


def live(start: Callable[[dict[str, Any]], Node], says: str) -> int:
    """Be a node, and end all that it has started; return the exit code.

    start: makes the node of what the client says. says: what our lines begin with.
    """
    # Out of the environment: processes that are started do not get it.
    asked = json.loads(os.environ.pop(SECRET))
    node: Node | None = None
    try:
        node = start(asked)
        return node.run()
    except Failure as failure:
        print(f"{says}{failure}", file=sys.stderr)
        return failure.code
    except OSError as error:
        print(f"{says}{error}", file=sys.stderr)
        return 1
    finally:
        # Once more would be in the middle of this.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if node is not None:
            node.end()
