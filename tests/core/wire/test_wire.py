"""codec and protocol: what is written is read again, and nothing else is."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.core.device import Device, VisibleAs
from genvx.core.enforcing.action import Action, Done, Kind, Rule
from genvx.core.finding import Examination, Finding, Severity
from genvx.core.leases.claim import Claim, Owner
from genvx.core.leases.environment import Environment, Holder
from genvx.core.leases.grant import Grant
from genvx.core.leases.lease import Lease, Part
from genvx.core.line.standing import Standing
from genvx.core.line.ticket import Ticket
from genvx.core.notifying.message import Message
from genvx.core.notifying.notifier import Event, Notifier
from genvx.core.notifying.notifier import Way as Sending
from genvx.core.policies.enforcement import (
    Enforcement,
    Exempt,
    IdleRule,
    Measure,
    MemoryRule,
    ProcessRule,
)
from genvx.core.policies.limit import Limit
from genvx.core.policies.policy import Entitlement, Policy
from genvx.core.projects.project import Project
from genvx.core.projects.python import Python, PythonKind
from genvx.core.requests.ask import Ask, Join
from genvx.core.requests.requirements import Requirements, Strategy
from genvx.core.runs.container import Container, Mount, Runtime
from genvx.core.runs.debugport import DebugPort, OpenPort
from genvx.core.runs.part import Meeting
from genvx.core.runs.part import Part as GangPart
from genvx.core.runs.pulled import Pulled, Way
from genvx.core.runs.run import (
    End,
    HoldWhen,
    Moment,
    RunSpec,
    Usage,
)
from genvx.core.runs.runinfo import LogPiece, RunInfo
from genvx.core.runs.runselect import Filter
from genvx.core.runs.runstate import (
    STATES,
    Completed,
    Failed,
    Held,
    LossReason,
    Lost,
    Preparing,
    Running,
    Step,
    Stopped,
    StopReason,
    Waiting,
)
from genvx.core.runs.service import Service
from genvx.core.runs.trial import Trial
from genvx.core.snapshot import Snapshot
from genvx.core.usage import DeviceProcess, DeviceUsage, Driver, Health, Sensors
from genvx.core.value import replace
from genvx.core.wire import (
    acts,
    askcodec,
    asking,
    containercodec,
    devicecodec,
    dispatchcodec,
    enforcing,
    findingcodec,
    grantcodec,
    job,
    leasecodec,
    notifiercodec,
    ongoing,
    operations,
    policycodec,
    progress,
    questions,
    requestcodec,
    runcodec,
    runoperations,
    snapshotcodec,
    treeoperations,
    viewoperation,
)
from genvx.core.wire.call import Call
from genvx.core.wire.callreader import call_from_word, read_call
from genvx.core.wire.files import leasefiles, ticketfiles
from genvx.core.wire.plain import Malformed, dumps, loads
from genvx.core.wire.protocol import PROTOCOL
from genvx.core.wire.reply import Reply
from genvx.core.wire.replyreader import MOST_NOISE, ReplyReader
from genvx.core.wire.tables import Table
from genvx.errors import (
    AgentError,
    GenvxError,
    InvalidInput,
    NoCapacity,
    ProtocolError,
    StateError,
    from_wire,
)

OWNER = Owner(1003, "raz")
DEVICE = Device("GPU-1", 0, "A100", 80 << 30)
CLAIM = Claim(
    id="00ff", owner=OWNER, environment_id="abcd", name="tränen 'x'", boot_id="b", since_ns=5,
    pid=9, starttime=8, host="h", command="c",
)  # fmt: skip
LEASE = Lease(("GPU-1",), 1 << 30, **CLAIM.claimed())
SNAPSHOT = Snapshot(
    "host",
    "0.1",
    "boot",
    10,
    Driver("550", None, False, ("note",)),
    (DEVICE, Device("MIG-2", 0, "1g", None, 1, "GPU-1", True)),
    {
        "GPU-1": DeviceUsage(Health.LOST, "gone", 5, 7, None),
        "MIG-2": DeviceUsage(processes=(DeviceProcess(1, None, "u", "c", None, True, 7),)),
    },
    (LEASE,),
    ("odd",),
)
ENVIRONMENT = Environment("abcd", "n", OWNER, 3, ("GPU-1",), None, (1, 2), "cmd")


# A value for every table in which no field has its default, so that a forgotten field is noticed.
REQUIREMENTS = Requirements(
    2,
    7,
    (0, 3),
    ("A100",),
    5,
    9,
    ("0", "GPU-1"),
    Strategy.SPREAD,
    True,
    VisibleAs.INDEX,
    True,
)
DEVICE_IN_FULL = Device("MIG-2", 3, "1g", 5 << 30, 1, "GPU-1", True, "NS", False, True, True, 2)
PROCESS = DeviceProcess(1, 1003, "u", "c", 4, True, 7, True)
SENSORS = Sensors(70_500, 41, 1410, 1593, 3, 2)
USAGE = DeviceUsage(Health.LOST, "gone", 5, 7, (PROCESS,), SENSORS)
DRIVER = Driver("550", "broken", True, ("note",))
HOLDER = Holder(7, "ssh-agent", 4, stopped=True, certain=False)
LEASE_IN_FULL = Lease(
    ("GPU-1",), 1 << 30, 6, "note", Part.ATTACHED, True, VisibleAs.INDEX, (HOLDER,),
    **CLAIM.claimed(),
)  # fmt: skip
TICKET = Ticket(REQUIREMENTS, 6, 3, False, 1 << 40, **replace(CLAIM, id="00fe").claimed())
THEN = Moment(7, 8)
GANG_PART = GangPart(1, ("a", "b"), "a", 29500, True)
PROJECT = Project("0f" * 32, "p", 2, 3, "c0ffee", True, b"+x\n")
PYTHON = Python(
    PythonKind.AUTO, "~/venv", "0e" * 32, "requirements.txt", "0d" * 32, True, True, True
)
PUBLIC_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILBOxG4hsEOdIOrK8a+pz6mdNKEbmJV0O1QqgGPz1Ohu me@here"
)
DEBUG_PORT = DebugPort((PUBLIC_KEY,), 2222, "::1", "a")
OPEN_PORT = OpenPort("u", "a", 2222, PUBLIC_KEY)
TRIAL = Trial("5weep", 3, {"lr": 0.5, "act": {"_name": "relu"}}, True)
ACTION = Action(
    Kind.TERM, Rule.IDLE, 7, "u", ("0",), "why", 8, 9, "cmd", "abcd", "n", 2.5
)  # fmt: skip
NOTIFIER = Notifier(Sending.MAIL, ("ann",), "mail:ann", ("ended",), 5.5)
MESSAGE = Message(
    Event.ENDED, "run", "h", "abcd", "n", "u", "failed", 3, 2.5, ("0",), "why", 1.5, 7, "cmd"
)  # fmt: skip
SERVICE = Service(8000, "/health")
MOUNT = Mount("data", "/data", read_only=True)
CONTAINER = Container("img:1", Runtime.PODMAN, (MOUNT,))
SPEC = RunSpec(
    "abcd", ("sh", "-c", "x"), REQUIREMENTS, "m", "h", THEN, "n", "/w", {"A": "b"}, 5, 6,
    HoldWhen.ON_FAILURE, 3, 2.5, 1 << 30, True, (NOTIFIER,), "u@h", "1.0", "abce",
    7.5, True, GANG_PART, DEBUG_PORT, PROJECT, PYTHON, "source x", TRIAL, SERVICE,
    CONTAINER,
)  # fmt: skip
MEETING = Meeting("s3cret", "a", 5000, True, 2.5)
RUN_USAGE = Usage(1.5, 2.5, 3, 4, 5)
LIMIT = Limit(2, 1 << 40, 600)
ASK = Ask(REQUIREMENTS, "n", "abcd", "cmd", 5.5, 6.5, False)
JOB = job.Job(("sh", "-c", "x"), {"A": "b"}, "/w", in_run=True, container=CONTAINER)
FILTER = Filter(("lost",), ("t",), "n", 5)
WAY = Way("lab", "a,b", "/f", "u")
PULLED = Pulled("h", 7, WAY, False, ("*.pt",), True, "best", ("t",))
RUN = RunInfo(
    SPEC, Lost(THEN, LossReason.REBOOT), "note", "best", ("t",), 9, True, "/r/7", OPEN_PORT,
    PULLED,
    '{"value": 0.5}',
)  # fmt: skip
ASKED = [
    questions.TakeSnapshot(True, True),
    questions.Examine(),
    enforcing.EnforceOnce(True),
    questions.ShowPolicy(),
    questions.ShowUse("abcd"),
    questions.FindPort(),
    acts.Release("n", True),
    acts.Attach("abcd", REQUIREMENTS),
    acts.Detach("abcd", ("0", "GPU-1")),
    acts.Reserve(ASK),
    acts.Signal("abcd", "TERM", "00ff"),
    acts.StopWhenIdle(3600.0, 60.0),
    ongoing.Hold(Join("abcd", "cmd"), 7.5),
    ongoing.Run(ASK, JOB),
    ongoing.RunInTurn("abcd", JOB, 8.5),
    ongoing.ServeSSH("abcd", "ssh-ed25519 AAAA", True),
    ongoing.OpenShell("abcd", "gpu-server-1", JOB),
    ongoing.Stay(600.0, runs=True),
    runoperations.SubmitRun(SPEC, 5.5, ("t",)),
    runoperations.SubmitPart(SPEC, MEETING, ("t",)),
    runoperations.DecideRun("abcd", True),
    runoperations.ListRuns(FILTER, 7, True, True),
    runoperations.FindRuns("n", True, True, True),
    runoperations.ShowRun("n", 7, True, True, True),
    runoperations.FindPython(PYTHON),
    runoperations.StopRun("n", 2.5, True),
    runoperations.WithdrawRun("n"),
    runoperations.MarkRun("n", "best", ("t",), ("u",)),
    runoperations.DisposeOfRun("n", runoperations.Disposal.PURGE),
    runoperations.WatchRun("n", 5, 6, False, False, True),
    runoperations.SubmitAndWatch(SPEC, 5.5, ("t",), True),
    treeoperations.FindTree("0f"),
    treeoperations.CleanTrees(5.5, True),
    treeoperations.SendTree("0f"),
    treeoperations.PullRun("n", ("*.pt",), True, True, True, True),
    treeoperations.PutFiles("n", True, True),
    viewoperation.ViewRun("n"),
]
PROCESS_RULE = ProcessRule(Measure.END, 60.5)
MEMORY_RULE = MemoryRule(Measure.END, 60.5, 1 << 30)
IDLE_RULE = IdleRule(Measure.RELEASE, 60.5, 7)
EXEMPT = Exempt(("u",), ("g",), ("/bin/x",))
ENFORCEMENT = Enforcement(
    PROCESS_RULE, PROCESS_RULE, MEMORY_RULE, IDLE_RULE, EXEMPT, ("/bin/hook", "-x")
)
POLICY = Policy(
    LIMIT, {"g": LIMIT}, {"u": LIMIT}, ("root",), ("0",), ("1",), ("2",), VisibleAs.INDEX, False,
    False, ENFORCEMENT,
)  # fmt: skip

VALUES = [
    (requestcodec.OWNER, OWNER),
    (requestcodec.REQUIREMENTS, REQUIREMENTS),
    (leasecodec.LEASE, LEASE_IN_FULL),
    (leasecodec.TICKET, TICKET),
    (
        grantcodec.ENVIRONMENT,
        Environment(
            "abcd", "n", OWNER, 3, ("GPU-1",), 7, (1, 2), "cmd", 9, VisibleAs.INDEX,
            (HOLDER,),
        ),
    ),
    (leasecodec.HOLDER, HOLDER),
    (
        grantcodec.GRANT,
        Grant(
            "abcd", "n", OWNER, (DEVICE_IN_FULL,), 7, ("x",), 60, "00ff", VisibleAs.INDEX
        ),
    ),
    (findingcodec.FINDING, Finding("c", Severity.ERROR, "r", "a")),
    (
        snapshotcodec.SNAPSHOT,
        Snapshot(
            "host", "0.1", "boot", 10, DRIVER, (DEVICE_IN_FULL,), {"MIG-2": USAGE},
            (LEASE_IN_FULL,), ("odd",), 5, (TICKET,), 9,
        ),
    ),
    (devicecodec.DEVICE, DEVICE_IN_FULL),
    (devicecodec.PROCESS, PROCESS),
    (devicecodec.SENSORS, SENSORS),
    (devicecodec.USAGE, USAGE),
    (devicecodec.DRIVER, DRIVER),
    (runcodec.MOMENT, THEN),
    (runcodec.SPEC, SPEC),
    (runcodec.PART, GANG_PART),
    (runcodec.PROJECT, PROJECT),
    (runcodec.PYTHON, PYTHON),
    (runoperations.STANDING, runoperations.PythonStanding(True, "uv")),
    (runcodec.TRIAL, TRIAL),
    (runcodec.SERVICE, SERVICE),
    (containercodec.MOUNT, MOUNT),
    (containercodec.CONTAINER, CONTAINER),
    (treeoperations.AMOUNT, treeoperations.Amount(2, 3)),
    (runcodec.MEETING, MEETING),
    (runcodec.DEBUG_PORT, DEBUG_PORT),
    (runcodec.OPEN_PORT, OPEN_PORT),
    (runcodec.WAY, WAY),
    (runcodec.PULLED, PULLED),
    (runcodec.USAGE, RUN_USAGE),
    (runcodec.END, End(THEN, THEN, None, 9, RUN_USAGE)),
    (runcodec.RUN, RUN),
    (runcodec.LOG_PIECE, LogPiece(5, b"\0\xff", 3)),
    (runoperations.FILTER, FILTER),
    (runoperations.ACCEPTED, runoperations.AcceptedPart(RUN, 5000, True)),
    (
        runoperations.DETAILS,
        runoperations.RunDetails(RUN, "/d", "last", "/d/work", b"-x", b"[]", (NOTIFIER,)),
    ),
    (enforcing.ACTION, ACTION),
    (enforcing.DONE, Done(ACTION, "sent")),
    (enforcing.ENFORCED, enforcing.Enforced((Done(ACTION, "sent"),), ("a note",))),
    (notifiercodec.NOTIFIER, NOTIFIER),
    (notifiercodec.NOTIFIERS, notifiercodec.Notifiers((NOTIFIER,))),
    (dispatchcodec.MESSAGE, MESSAGE),
    (dispatchcodec.DISPATCH, dispatchcodec.Dispatch(MESSAGE, (NOTIFIER,))),
    (askcodec.ASK, ASK),
    (askcodec.JOB, JOB),
    (askcodec.JOIN, Join("abcd", "cmd")),
    *((asking.wire_of(type(each)).table, each) for each in ASKED),
    (policycodec.LIMIT, LIMIT),
    (policycodec.POLICY, POLICY),
    (policycodec.PROCESS_RULE, PROCESS_RULE),
    (policycodec.MEMORY_RULE, MEMORY_RULE),
    (policycodec.IDLE_RULE, IDLE_RULE),
    (policycodec.EXEMPT, EXEMPT),
    (policycodec.ENFORCEMENT, ENFORCEMENT),
    (policycodec.ENTITLEMENT, Entitlement("u", POLICY, LIMIT)),
]  # fmt: skip


def named(pair):
    return pair[0].what if isinstance(pair, tuple) else ""


@pytest.fixture(params=VALUES, ids=named)
def table(request):
    return request.param[0]


@pytest.fixture
def value(request, table):
    return next(value for each, value in VALUES if each is table)


def test_a_sample_has_no_field_at_its_default(value):
    plain = {name: getattr(value, name) for name in value.__match_args__}
    defaults = {name: getattr(type(value), name) for name in plain if hasattr(type(value), name)}
    if isinstance(value, End):
        del defaults["code"]  # it has a signal
    assert [name for name, default in defaults.items() if plain[name] == default] == []


def test_a_table_has_the_fields_of_its_class(table):
    assert tuple(sorted(table.kinds)) == tuple(sorted(table.make.__match_args__))


def test_every_table_is_tried():
    found = [
        each
        for module in (
            askcodec,
            containercodec,
            requestcodec,
            leasecodec,
            grantcodec,
            snapshotcodec,
            devicecodec,
            policycodec,
            runcodec,
            runoperations,
            treeoperations,
            notifiercodec,
            dispatchcodec,
            enforcing,
        )
        for each in vars(module).values()
        if isinstance(each, Table)
    ]
    assert [each.what for each in found if all(each is not tried for tried, _ in VALUES)] == []


def test_every_operation_is_tried():
    assert {type(each).__name__ for each in ASKED} == {
        kind for kind, _ in operations.OPERATIONS.values()
    }


@pytest.mark.parametrize("name", operations.OPERATIONS)
def test_an_operation_travels_as_the_module_of_its_name_says(name):
    kind, _ = operations.OPERATIONS[name]
    wire = asking.wire_named(name)
    assert (wire.name, wire.table.make.__name__) == (name, kind)


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: type(asked).__name__)
def test_every_operation_survives_its_call(asked):
    read, _ = reader_of(asking.call_of(asked, "aabb").to_bytes())
    assert asking.operation_of(read_call(read)) == asked


AMOUNT = treeoperations.Amount(2, 3)
REPLIES = [
    (questions.TakeSnapshot(), Snapshot("h", "0.1", "boot", 1, DRIVER, (), {}, ())),
    (questions.Examine(), Examination((Finding("c", Severity.ERROR, "r", "a"),), 7)),
    (questions.FindPort(), 4711),
    (acts.Signal("abcd", "TERM"), None),
    (acts.StopWhenIdle(3600.0), "sudo: a password is required"),
    (
        questions.ShowUse("abcd"),
        questions.OwnUse(Snapshot("h", "0.1", "boot", 1, DRIVER, (), {}, ()), {"GPU-1": (1, 2)}),
    ),
    (ongoing.Hold(ASK), Standing(3, "why")),
    (ongoing.Hold(ASK), progress.Behind("x")),
    (ongoing.Hold(ASK), progress.Joined()),
    (ongoing.Hold(ASK), progress.NeverRan("~/.bashrc")),
    (ongoing.Hold(ASK), Grant("abcd", "n", OWNER, (), None)),
    (runoperations.ListRuns(), (RUN,)),
    (runoperations.WatchRun("n"), LogPiece(5, b"x")),
    (runoperations.WatchRun("n"), RUN),
    (runoperations.WatchRun("n"), runoperations.LogEnd(RUN)),
    (runoperations.SubmitAndWatch(SPEC), RUN),
    (treeoperations.FindTree("0f"), True),
    (treeoperations.CleanTrees(5.5), treeoperations.Cleaned(AMOUNT, AMOUNT, AMOUNT, AMOUNT)),
    (treeoperations.SendTree("0f"), treeoperations.Coming()),
    (treeoperations.SendTree("0f"), treeoperations.lacking_of([0, 9], 10)),
    (treeoperations.SendTree("0f"), treeoperations.Received()),
    (treeoperations.PullRun("n"), treeoperations.Coming()),
    (treeoperations.PullRun("n"), treeoperations.Pulling("abcd", ("x",))),
    (treeoperations.PutFiles("n"), treeoperations.Coming()),
    (treeoperations.PutFiles("n"), treeoperations.Planned()),
    (treeoperations.PutFiles("n"), treeoperations.Placed(2, 3)),
    (viewoperation.ViewRun("n"), RUN),
    (viewoperation.ViewRun("n"), viewoperation.Viewed()),
]


@pytest.mark.parametrize(("asked", "reply"), REPLIES, ids=lambda value: type(value).__name__)
def test_every_kind_of_reply_survives_the_wire(asked, reply):
    form = asking.reply_form(asked)
    assert form.read(loads(dumps(form.write(reply)))) == reply


@pytest.mark.parametrize("count", [1, 9, 100])
def test_what_a_host_lacks_is_told_in_a_bit_each(count):
    indices = list(range(0, count, 3))
    lacking = treeoperations.lacking_of(indices, count)
    assert treeoperations.indices_of(lacking, count) == indices
    for wrong in ("zz", lacking.bits + "00", "ff" * len(lacking.bits)):
        with pytest.raises(Malformed):
            treeoperations.indices_of(treeoperations.Lacking(wrong), count)


@pytest.mark.parametrize("port", [0, 65536, "22", None])
def test_what_is_no_port_is_malformed(port):
    with pytest.raises(Malformed):
        asking.reply_form(questions.FindPort()).read({"value": port})


def test_every_value_survives_the_wire(table, value):
    assert table.read(loads(dumps(table.write(value)))) == value


def test_unknown_keys_belong_to_a_newer_version(table, value):
    assert table.read({**table.write(value), "brand_new": [1]}) == value


# Fields that cannot be missing while another one is there.
TIED = {
    *(("requirements", name) for name in ("gpus", "devices", "memory")),
    ("snapshot", "devices"),
    ("end", "signal"),
    ("python", "needs"),
}


def test_a_key_that_is_missing_is_the_default_of_its_field(table, value):
    for name, kind in table.kinds.items():
        if (table.what, name) in TIED:
            continue
        absent = kind.key or name
        plain = {key: item for key, item in table.write(value).items() if key != absent}
        if hasattr(table.make, name):
            assert getattr(table.read(plain), name) == getattr(table.make, name)
        else:
            with pytest.raises(Malformed):
                table.read(plain)


def test_a_mistyped_key_is_malformed_and_nothing_else(table, value):
    plain = table.write(value)
    for key in plain:
        for wrong in (-1.5, [[]]):
            with pytest.raises(Malformed):
                table.read({**plain, key: wrong})


@pytest.mark.parametrize(
    "packed",
    [zlib.compress(bytes(1 << 28), 9), zlib.compress(b"log")[:-1], b"no deflated data"],
    ids=["a bomb", "cut off", "nonsense"],
)
def test_a_piece_of_a_log_that_does_not_inflate_to_a_piece_is_malformed(packed):
    plain = {"at": 0, "data": base64.b64encode(packed).decode(), "missing": 0}
    with pytest.raises(Malformed):
        runcodec.LOG_PIECE.read(plain)


END = End(THEN, THEN, 3, None, RUN_USAGE)
RUN_STATES = [
    Waiting(THEN, 2, "why"),
    Preparing(THEN, Step.PYTHON, "3 of 5"),
    Running(THEN, ("GPU-1",), 3, 4, 2, 8000),
    Held(THEN, THEN, END),
    Completed(THEN, End(THEN, THEN, 0)),
    Failed(THEN, END, Step.SETUP, "why"),
    Stopped(THEN, StopReason.TIME, 1003, END),
    Lost(THEN, LossReason.KILLED),
]


@pytest.mark.parametrize("state", RUN_STATES, ids=lambda state: type(state).__name__)
def test_every_state_of_a_run_survives_its_record(state):
    assert runcodec.STATE.read(loads(dumps(runcodec.STATE.write(state)))) == state


def test_every_state_of_a_run_has_a_table_with_its_fields():
    assert {word: table.make for word, table in runcodec.STATE.tables.items()} == dict(STATES)
    for table in runcodec.STATE.tables.values():
        assert set(table.kinds) == set(table.make.__match_args__)


@pytest.mark.parametrize("plain", [{}, {"is": "gone"}, {"is": 5}, [], {"is": "lost"}])
def test_what_is_no_state_of_a_run_is_malformed(plain):
    with pytest.raises(Malformed):
        runcodec.STATE.read(plain)


def test_a_lease_file_is_read_only_under_its_own_name_and_owner():
    data = leasefiles.lease_to_file(LEASE)
    assert leasefiles.lease_from_file(data, owner=OWNER, identifier="00ff") == LEASE
    with pytest.raises(Malformed, match="name"):
        leasefiles.lease_from_file(data, owner=OWNER, identifier="00fe")
    with pytest.raises(Malformed, match="owner"):
        leasefiles.lease_from_file(data, owner=Owner(1, "x"), identifier="00ff")


def test_a_lease_and_a_ticket_survive_their_files():
    data = leasefiles.lease_to_file(LEASE_IN_FULL)
    # Who holds it is looked up each time.
    kept = replace(LEASE_IN_FULL, holders=None)
    assert leasefiles.lease_from_file(data, owner=OWNER, identifier="00ff") == kept
    data = ticketfiles.ticket_to_file(TICKET)
    assert ticketfiles.ticket_from_file(data, owner=OWNER, identifier="00fe") == TICKET


@pytest.mark.parametrize(
    "change",
    [
        {"name": "\x1b[2J"},
        {"name": "x" * 200},
        {"devices": ["GPU-1", "GPU-1"]},
        {"devices": ["../../etc"]},
        {"devices": "GPU-1"},
        {"memory": 0},
        {"memory": -5},
        {"memory": True},
        {"memory": 10**30},
        {"env": "; rm -rf /"},
        {"since_boottime_ns": 1e300},
        {"v": 2},
    ],
)
def test_an_impossible_lease_file_does_not_pass(change):
    plain = json.loads(leasefiles.lease_to_file(LEASE)) | change
    with pytest.raises(Malformed):
        leasefiles.lease_from_file(json.dumps(plain).encode(), owner=OWNER, identifier="00ff")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[" * 60_000,
        b"1" * 10_000,
        b"NaN",
        b'{"a":Infinity}',
        b'"\\ud800"',
        b"{}" * 9,
    ],
)
def test_json_of_unknown_origin_is_a_value_or_malformed(data):
    try:
        loads(data)
    except Malformed:
        pass


@given(st.binary(max_size=600))
def test_no_bytes_in_a_lease_file_raise_anything_but_malformed(data):
    with pytest.raises(Malformed):
        leasefiles.lease_from_file(data, owner=OWNER, identifier="00ff")


def test_control_characters_from_a_host_are_escaped_when_read():
    plain = snapshotcodec.SNAPSHOT.write(replace(SNAPSHOT, hostname="a\x1b[31mb"))
    assert snapshotcodec.SNAPSHOT.read(plain).hostname == "a\\x1b[31mb"


# The protocol

CALL = Call("run", "aabb", {"argv": ["echo", "ä 'x' \"y\"\n", "日本"]})


def reader_of(data):
    position = 0

    def read(size):
        nonlocal position
        part = data[position : position + min(size, 7)]
        position += len(part)
        return part

    return read, lambda: data[position:]


def test_a_call_is_read_to_its_last_byte_and_not_one_more():
    read, rest = reader_of(CALL.to_bytes() + b"the command's own input")
    assert read_call(read) == CALL
    assert rest() == b"the command's own input"


def test_a_call_in_a_word_has_nothing_that_a_shell_looks_at():
    word = CALL.to_word()
    assert word.replace("-", "").replace("_", "").isalnum()
    assert call_from_word(word) == CALL


@pytest.mark.parametrize("text", ["$(touch ran)", "`touch ran`", "\\$(touch ran)", "${x:=$(id)}"])
def test_a_shell_that_reads_a_call_in_our_place_runs_nothing_of_it(text, tmp_path):
    data = Call("run", "aabb", {"argv": [text]}).to_bytes()
    subprocess.run(["sh"], input=data, cwd=tmp_path, stderr=subprocess.DEVNULL)
    assert list(tmp_path.iterdir()) == []
    assert read_call(io.BytesIO(data).read).arguments == {"argv": [text]}


def test_a_call_that_does_not_fit_is_refused_before_it_is_sent():
    with pytest.raises(InvalidInput, match="too long"):
        Call("run", "aabb", {"argv": ["x" * 2_000_000]}).to_bytes()
    with pytest.raises(InvalidInput, match="too long"):
        Call("shell", "aabb", {"argv": ["x" * 100_000]}).to_word()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ls\n",
        b"GENVX-CALL 5\n{}",
        b"GENVX-CALL 99999999999\n",
        b"GENVX-CALL x\n",
        b"GENVX-CALL 2\n[]",
        b"x" * 100,
    ],
)
def test_what_is_no_call_is_a_protocol_error(data):
    with pytest.raises(ProtocolError):
        read_call(reader_of(data)[0])


@pytest.mark.parametrize("word", ["", "ä", "!!", "AAAA", "e30"])
def test_what_is_no_word_of_a_call_is_a_protocol_error(word):
    with pytest.raises(ProtocolError):
        call_from_word(word)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_reply_is_found_in_noise_in_pieces_and_through_a_terminal(ending, size):
    frame = Reply(value={"a": "ä"}).to_bytes("aabb").replace(b"\n", ending)
    stream = b"Welcome!\r\nGENVX-REPLY cafe 2 {}\n" + frame + b"output\n"
    reader = ReplyReader("aabb")
    reply, got = None, b""
    for start in range(0, len(stream), size):
        part = stream[start : start + size]
        if reply is None:
            reply = reader.feed(part)
            got = reader.rest if reply else b""
        else:
            got += part
    assert reply is not None
    assert reply.result() == {"a": "ä"}
    assert got == b"output\n"


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_bytes_that_are_attached_to_a_reply_come_as_they_are(size):
    data = bytes(range(256)) + b"\nGENVX-REPLY aabb 2 {}\n"
    plain = runcodec.LOG_PIECE.write(LogPiece(5, b""))
    first = Reply(value=plain, attached=data).to_bytes("aabb")
    stream = first + Reply(value=7).to_bytes("aabb")
    reader, found = ReplyReader("aabb"), []
    for start in range(0, len(stream), size):
        reply = reader.feed(stream[start : start + size])
        while reply is not None:
            found.append(reply.result())
            rest, reader = reader.rest, ReplyReader("aabb")
            reply = reader.feed(rest)
    assert runcodec.LOG_PIECE.read(found[0]) == LogPiece(5, data)
    assert found[1:] == [7]
    with pytest.raises(Malformed):
        runcodec.LOG_PIECE.read({**plain, "data": bytes((1 << 20) + 1)})


def test_too_much_noise_ends_the_search():
    reader = ReplyReader("aabb")
    with pytest.raises(ProtocolError, match="64 KiB"):
        for _ in range(3):
            reader.feed(b"x" * MOST_NOISE)


@pytest.mark.parametrize(
    "frame",
    [
        b"GENVX-REPLY aabb 99999999999 {}\n",
        b"GENVX-REPLY aabb xx {}\n",
        b"GENVX-REPLY aabb 2 []\n",
        b"GENVX-REPLY aabb 2 {}\n",
        b"GENVX-REPLY aabb 1111111111111111111111111",
        Reply(value=[], attached=b"x").to_bytes("aabb"),
        Reply(value={}, attached=b"x").to_bytes("aabb").replace(b'"attached":1', b'"attached":0'),
        Reply(value={}, attached=b"x").to_bytes("aabb").replace(b'"attached":1', b'"attached":[1]'),
        Reply(value={}, attached=b"x" * 9).to_bytes("aabb").replace(b'":9', b'":' + b"9" * 12)[1:],
    ],
)
def test_a_broken_reply_is_a_protocol_error(frame):
    with pytest.raises(ProtocolError):
        ReplyReader("aabb").feed(frame)


def test_another_protocol_names_both_versions():
    frame = Reply(value=1, protocol=PROTOCOL + 1, version="9.9").to_bytes("aabb")
    with pytest.raises(AgentError, match=r"9\.9 there"):
        ReplyReader("aabb").feed(frame)


def _every_error(root=GenvxError):
    yield root
    for child in root.__subclasses__():
        yield from _every_error(child)


@pytest.mark.parametrize("kind", list(_every_error()))
def test_every_error_crosses_the_wire_as_itself(kind):
    reply = ReplyReader("ab12").feed(Reply.of_error(kind("why")).to_bytes("ab12"))
    with pytest.raises(kind, match="why") as caught:
        reply.result()
    assert type(caught.value) is kind


def test_an_error_of_the_state_is_none_of_the_operating_system():
    """Or each `except OSError` would translate it once more."""
    assert not issubclass(StateError, OSError)


def test_an_error_of_a_newer_version_is_an_agent_error():
    assert type(from_wire("Brandnew", "x")) is AgentError
    assert isinstance(from_wire("NoCapacity", "x"), NoCapacity)


@given(st.lists(st.binary(max_size=80), max_size=6))
def test_no_bytes_make_the_reader_raise_anything_but_genvx_errors(parts):
    reader = ReplyReader("ab")
    for part in parts:
        try:
            reader.feed(part + b"GENVX-REPLY ab ")
        except GenvxError:
            return
