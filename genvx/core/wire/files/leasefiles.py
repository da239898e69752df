"""Leases as the files of the state directory have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.device import VisibleAs
from genvx.core.leases.lease import Lease, Part
from genvx.core.text import COMMAND_LIMIT
from genvx.core.wire.files.statefiles import CLAIM, from_file, to_file
from genvx.core.wire.tables import (
    Table,
    choice,
    device_ids,
    exact_text,
    flag,
    integer,
    optional,
    under,
)

if TYPE_CHECKING:
    from genvx.core.leases.claim import Owner

# The id comes from the file's name and the owner from the file's owner, as the kernel reports them.
# What the file itself says of both is only compared, so nobody can forge another's lease.
_LEASE = Table(
    Lease,
    "the lease",
    **CLAIM,
    devices=device_ids(),
    memory=optional(integer(1)),
    expires_ns=under("expires_boottime_ns", optional(integer())),
    note=exact_text(COMMAND_LIMIT),
    part=choice(Part),
    over=flag(),
    # A word of a newer version must not make a held lease malformed: it would not count, and its
    # devices would be granted again.
    visible_as=choice(VisibleAs, unknown=VisibleAs.UUID),
)


def lease_to_file(lease: Lease) -> bytes:
    """Return the content of a lease file.

    The file's owner is the lease's owner; the uid in the content is there to be compared.
    """
    plain = _LEASE.write(lease)
    if lease.part is Part.HELD:
        del plain["part"]  # most files have none; see may_outlive_its_holder
    return to_file(lease, plain)


def may_outlive_its_holder(data: bytes) -> bool:
    """Whether a lease file that nobody holds may still count: a reservation or an amendment.

    A search of the bytes, because most files are neither and need not be parsed. A name that
    contains `"part":` does not match: JSON writes its quotation marks with a backslash.
    """
    return b'"part":' in data


def lease_from_file(data: bytes, *, owner: Owner, identifier: str) -> Lease:
    """Read a lease file whose owner is `owner`, by the kernel, and whose name has `identifier`.

    Raises:
        Malformed: it is not a lease, or not the lease that its name and owner say.
    """
    return from_file(_LEASE, data, owner, identifier)
