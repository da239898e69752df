"""Tables of what somebody asks of a host: devices, an environment to join, a command to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.requests.ask import Ask, Join
from genvx.core.text import COMMAND_LIMIT, NAME_LIMIT
from genvx.core.wire.forms import Tagged, tagged
from genvx.core.wire.job import Job
from genvx.core.wire.requestcodec import REQUIREMENTS
from genvx.core.wire.tables import (
    Kind,
    Table,
    flag,
    identifier,
    one,
    optional,
    seconds,
    string,
    strings,
    text,
    texts_by_name,
)

if TYPE_CHECKING:
    from typing import Any

    from genvx.core.requests.ask import Wanted
    from genvx.core.runs.container import Container
    from genvx.core.wire.fields import Fields

MOST_WORDS = 10_000
_LONGEST_WORD = 512 * 1024
# As PATH_MAX of Linux: a longer path cannot be opened anyway.
_LONGEST_PATH = 4096


def _container() -> Kind[Container]:
    """A container. Its table is loaded only where there is one: few commands have one."""

    def read(fields: Fields, key: str) -> Container:
        from genvx.core.wire.containercodec import CONTAINER

        return CONTAINER.read(fields.raw(key))

    def write(item: Container) -> dict[str, Any]:
        from genvx.core.wire.containercodec import CONTAINER

        return CONTAINER.write(item)

    return Kind(read, write)


ASK = Table(
    Ask,
    "request",
    requirements=one(REQUIREMENTS),
    name=string(NAME_LIMIT + 1),  # require_name refuses longer ones
    environment_id=optional(identifier()),
    command=text(COMMAND_LIMIT),
    lasts=optional(seconds()),
    patience=optional(seconds()),
    keeps=flag(),
)
JOIN = Table(Join, "join", environment_id=identifier(), command=text(COMMAND_LIMIT))
WANTED: Kind[Wanted] = tagged(Tagged("what is wanted", {"new": ASK, "join": JOIN}))
JOB = Table(
    Job,
    "command",
    argv=optional(strings(_LONGEST_WORD, MOST_WORDS)),
    variables=texts_by_name(_LONGEST_WORD, MOST_WORDS),
    cwd=optional(string(_LONGEST_PATH)),
    in_run=flag(),
    container=optional(_container()),
)
