"""Tables of runs, for their record on disk and for the wire."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING

from genvx.core.notifying.notifier import MOST_NOTIFIERS
from genvx.core.projects.project import MOST_DIFF, Project
from genvx.core.projects.python import Python, PythonKind
from genvx.core.publickey import LONGEST_LINE, MOST_KEYS
from genvx.core.runs.debugport import LONGEST_ADDRESS, DebugPort, OpenPort
from genvx.core.runs.part import MOST_NODES, Meeting, Part
from genvx.core.runs.pulled import Pulled, Way
from genvx.core.runs.run import (
    End,
    HoldWhen,
    Moment,
    RunSpec,
    Usage,
)
from genvx.core.runs.runinfo import LogPiece, RunInfo
from genvx.core.runs.runstate import (
    Completed,
    Failed,
    Held,
    LossReason,
    Lost,
    Preparing,
    Running,
    RunState,
    Step,
    Stopped,
    StopReason,
    Waiting,
)
from genvx.core.runs.service import LONGEST_READY, Service
from genvx.core.runs.trial import Trial
from genvx.core.text import MESSAGE_LIMIT, NAME_LIMIT
from genvx.core.wire.containercodec import CONTAINER
from genvx.core.wire.forms import Tagged
from genvx.core.wire.notifiercodec import NOTIFIER
from genvx.core.wire.requestcodec import REQUIREMENTS
from genvx.core.wire.tables import (
    Kind,
    Table,
    choice,
    device_ids,
    exact_text,
    flag,
    identifier,
    integer,
    many,
    one,
    optional,
    plain_object,
    seconds,
    string,
    strings,
    text,
    texts,
    texts_by_name,
)

if TYPE_CHECKING:
    from genvx.core.wire.fields import Fields

LONGEST_WORD = 512 * 1024
MOST_WORDS = 10_000
LONGEST_PATH = 4096
LONGEST_REPORT = 4096

# More than a reader of logs takes at once.
_MOST_PIECE = 1 << 20


def compressed(limit: int) -> Kind[bytes]:
    """Bytes, deflated and in base64 (none are ""), or attached to the reply as they are (reply.py).

    limit: how many there are at most.
    """

    def read(fields: Fields, key: str) -> bytes:
        attached = fields.raw(key)
        if isinstance(attached, bytes):
            if len(attached) > limit:
                raise fields.wrong(key)
            return attached
        if attached == "":
            return b""
        try:
            packed = base64.b64decode(fields.string(key, 2 * limit), validate=True)
            inflater = zlib.decompressobj()
            # Few bytes may inflate to terabytes.
            data = inflater.decompress(packed, limit + 1)
        except (ValueError, zlib.error):
            raise fields.wrong(key) from None
        if not inflater.eof or len(data) > limit:
            raise fields.wrong(key)
        return data

    def write(data: bytes) -> str:
        return base64.b64encode(zlib.compress(data, 1)).decode("ascii") if data else ""

    return Kind(read, write)


MOMENT = Table(Moment, "moment", epoch_ns=integer(), boottime_ns=integer())

PART = Table(
    Part,
    "part of a gang",
    rank=integer(0, MOST_NODES - 1),
    nodes=texts(NAME_LIMIT, MOST_NODES),
    address=string(NAME_LIMIT),
    port=integer(0, 65535),
    mixed=flag(),
)
MEETING = Table(
    Meeting,
    "meeting",
    secret=string(128),
    address=string(NAME_LIMIT),
    port=integer(0, 65535),
    linked=flag(),
    patience=seconds(),
)

DEBUG_PORT = Table(
    DebugPort,
    "debug port",
    keys=strings(LONGEST_LINE, MOST_KEYS),
    port=integer(0, 65535),
    bind=exact_text(LONGEST_ADDRESS),
    address=exact_text(LONGEST_ADDRESS),
)
OPEN_PORT = Table(
    OpenPort,
    "open debug port",
    user=exact_text(NAME_LIMIT),
    address=exact_text(LONGEST_ADDRESS),
    port=integer(1, 65535),
    host_key=exact_text(LONGEST_LINE),
)
PROJECT = Table(
    Project,
    "project",
    # Exact, because it is compared.
    tree=exact_text(64),
    name=text(NAME_LIMIT),
    files=integer(),
    size=integer(),
    commit=exact_text(64),
    dirty=flag(),
    diff=compressed(MOST_DIFF),
)
PYTHON = Table(
    Python,
    "python",
    kind=choice(PythonKind),
    where=string(LONGEST_PATH),
    # Exact, because they are compared.
    needs=exact_text(64),
    source=text(NAME_LIMIT),
    pip=exact_text(64),
    prerelease=flag(),
    offline=flag(),
    typed=flag(),
)
TRIAL = Table(
    Trial,
    "trial",
    sweep=exact_text(NAME_LIMIT),
    number=integer(),
    parameters=plain_object(MOST_WORDS),
    nni=flag(),
)
SERVICE = Table(Service, "service", port=integer(0, 65535), ready=string(LONGEST_READY))
SPEC = Table(
    RunSpec,
    "run",
    id=identifier(),
    argv=strings(LONGEST_WORD, MOST_WORDS),
    requirements=one(REQUIREMENTS),
    # Exact, because it is compared: an escaped or cut id could match that of another host.
    machine=exact_text(64),
    host=text(256),
    submitted=one(MOMENT),
    name=text(NAME_LIMIT),
    cwd=string(LONGEST_PATH),
    variables=texts_by_name(LONGEST_WORD, MOST_WORDS),
    seconds=optional(integer(1)),
    hold=optional(integer(1)),
    hold_when=choice(HoldWhen),
    retries=integer(),
    grace=seconds(),
    log_limit=optional(integer(1)),
    tty=flag(),
    notifiers=many(NOTIFIER, MOST_NOTIFIERS),
    submitter=text(256),
    version=text(64),
    restarted=text(32),
    patience=optional(seconds()),
    stays=flag(),
    part=optional(one(PART)),
    debug_port=optional(one(DEBUG_PORT)),
    project=optional(one(PROJECT)),
    python=optional(one(PYTHON)),
    setup=string(LONGEST_PATH),
    trial=optional(one(TRIAL)),
    service=optional(one(SERVICE)),
    container=optional(one(CONTAINER)),
)

USAGE = Table(
    Usage,
    "usage",
    user=optional(seconds()),
    system=optional(seconds()),
    memory=optional(integer()),
    gpu_memory=optional(integer()),
    gpu_utilization=optional(integer(0, 1000)),
)

END = Table(
    End,
    "end",
    started=one(MOMENT),
    ended=one(MOMENT),
    code=optional(integer(0, 255)),
    signal=optional(integer(1, 128)),
    usage=one(USAGE),
)

STATE: Tagged[RunState] = Tagged(
    "state",
    {
        "waiting": Table(
            Waiting, "state", since=one(MOMENT), place=integer(), reason=text(MESSAGE_LIMIT)
        ),
        "preparing": Table(
            Preparing, "state", since=one(MOMENT), step=choice(Step), progress=text(MESSAGE_LIMIT)
        ),
        "running": Table(
            Running,
            "state",
            since=one(MOMENT),
            devices=device_ids(),
            pid=integer(1),
            starttime=integer(),
            attempt=integer(1),
            port=optional(integer(1, 65535)),
        ),
        "held": Table(Held, "state", since=one(MOMENT), until=one(MOMENT), end=one(END)),
        "completed": Table(Completed, "state", since=one(MOMENT), end=one(END)),
        "failed": Table(
            Failed,
            "state",
            since=one(MOMENT),
            end=optional(one(END)),
            step=optional(choice(Step)),
            why=text(MESSAGE_LIMIT),
        ),
        "stopped": Table(
            Stopped,
            "state",
            since=one(MOMENT),
            why=choice(StopReason),
            by=integer(0, 1 << 32),
            end=optional(one(END)),
        ),
        "lost": Table(Lost, "state", since=one(MOMENT), why=choice(LossReason)),
    },
)

WAY = Table(
    Way,
    "way",
    remote=string(LONGEST_PATH),
    hosts=string(LONGEST_PATH),
    hostfile=string(LONGEST_PATH),
    login=string(NAME_LIMIT),
)
PULLED = Table(
    Pulled,
    "copy",
    host=text(256),
    epoch_ns=integer(),
    way=one(WAY),
    whole=flag(),
    only=strings(LONGEST_PATH, 1000),
    everything=flag(),
    label=text(NAME_LIMIT),
    tags=texts(NAME_LIMIT, 10_000),
)
RUN = Table(
    RunInfo,
    "run",
    spec=one(SPEC),
    state=Kind(lambda fields, key: STATE.read(fields.raw(key)), STATE.write),
    note=text(MESSAGE_LIMIT),
    label=text(NAME_LIMIT),
    tags=texts(NAME_LIMIT, 10_000),
    log_bytes=integer(),
    deleted=flag(),
    directory=string(LONGEST_PATH),
    open_port=optional(one(OPEN_PORT)),
    pulled=optional(one(PULLED)),
    reported=string(LONGEST_REPORT),
)


LOG_PIECE = Table(
    LogPiece, "piece of a log", at=integer(), data=compressed(_MOST_PIECE), missing=integer()
)
