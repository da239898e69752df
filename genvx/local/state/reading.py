"""Reads the lease or ticket in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

from genvx.core.wire.plain import Malformed
from genvx.local.state.content import read_content
from genvx.local.state.kinds import CLAIMS, of_name

if TYPE_CHECKING:
    from genvx.core.leases.claim import Owner
    from genvx.core.leases.lease import Lease
    from genvx.core.line.ticket import Ticket
    from genvx.local.state.userdirectory import UserDirectory


def read_claim(
    user: UserDirectory, name: str, owner: Owner
) -> tuple[Union[Lease, Ticket, None], bool]:
    """Read the lease or ticket in a file, and whether it is held; None if it is dead.

    Raises:
        Malformed: alive, but neither a lease nor a ticket. OSError: it cannot be opened, or is no
        regular file of its user.
    """
    content = read_content(user, name)
    named = of_name(name, CLAIMS)
    if not content.held and (named is None or not named[0].outlives(content.data)):
        return None, False
    if named is None:
        raise Malformed("not the name of a lease")
    if content.held and not content.for_all:
        raise Malformed("others cannot read it")  # and would grant its devices again
    kind, identifier = named
    try:
        return kind.read(content.data, owner=owner, identifier=identifier), content.held
    except Malformed:
        if content.held:
            raise
        return None, False
