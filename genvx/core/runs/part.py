"""A part of a gang that goes on without a client: a run on one of its hosts.

All parts have the id of the run. The rank of a part is that of its node, and node 0 is where the
parts keep in touch.
"""

from __future__ import annotations

from genvx.core.value import value
from genvx.errors import InvalidInput

MOST_NODES = 4096


@value
class Part:
    """The place of a run in a gang.

    nodes: the names of all nodes, by rank. address, port: where the processes of the command meet
    on node 0 (MASTER_ADDR, MASTER_PORT). mixed: whether the models of GPU may differ.
    """

    rank: int
    nodes: tuple[str, ...]
    address: str = ""
    port: int = 0
    mixed: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.rank < len(self.nodes) <= MOST_NODES:
            raise InvalidInput(f"no rank {self.rank} among {len(self.nodes)} nodes")

    @property
    def name(self) -> str:
        """What people are shown for it."""
        return f"node {self.rank} ({self.nodes[self.rank]})"


@value
class Meeting:
    """Where the supervisors of the parts keep in touch, and the secret by which they know each
    other.

    address, port: of node 0's supervisor; port 0 where that chooses one. linked: whether this part
    is connected. patience: seconds that node 0 waits for the word to start; the others wait twice
    as long, because node 0 may pass it on.
    """

    secret: str
    address: str
    port: int = 0
    linked: bool = False
    patience: float = 60.0
