"""The kinds of held files: what their names end in, and how they are written and read.

A new kind is an entry here, with its table in core/wire. Files of a kind that an older genvx
does not know are nothing to it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Optional

from genvx.core.text import is_identifier
from genvx.core.value import value
from genvx.core.wire.files import leasefiles, ticketfiles

if TYPE_CHECKING:
    from collections.abc import Iterable

# Of any held file.
MOST_BYTES = 4096


@value
class Kind:
    """A kind of held file, whose name is an id and `suffix`.

    write: the file's content for a value. read: the value in a content, with `owner` and
    `identifier` as the kernel and the name say; raises Malformed. outlives: whether a file of this
    content may count although nobody holds it.
    """

    suffix: str
    write: Callable[[Any], bytes]
    read: Callable[..., Any]
    outlives: Callable[[bytes], bool] = lambda data: False

    def name(self, identifier: str) -> str:
        """The name of a file of this kind."""
        return identifier + self.suffix


LEASE = Kind(
    ".lease",
    leasefiles.lease_to_file,
    leasefiles.lease_from_file,
    leasefiles.may_outlive_its_holder,
)
TICKET = Kind(".ticket", ticketfiles.ticket_to_file, ticketfiles.ticket_from_file)

# Kinds that are looked for together, and count together for the limit of a user's files
# (MOST_OF_A_KIND): a flood of one of these groups does not hide the other.
CLAIMS = (LEASE, TICKET)


def suffixes(kinds: Iterable[Kind]) -> tuple[str, ...]:
    """What the names of files of these kinds end in."""
    return tuple(kind.suffix for kind in kinds)


def of_name(name: str, kinds: Iterable[Kind]) -> Optional[tuple[Kind, str]]:
    """The kind of a file and its id; None if this is no name of one of these kinds."""
    identifier, suffix = os.path.splitext(name)
    kind = next((kind for kind in kinds if kind.suffix == suffix), None)
    return None if kind is None or not is_identifier(identifier) else (kind, identifier)
