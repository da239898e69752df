"""The far end as a process: one call in, one reply out, on every Python that hosts have."""

from __future__ import annotations

import ast
import copy
import math
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from genvx.agent.pieces import Pieces
from genvx.core.finding import Severity
from genvx.core.projects.stream import frame
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import Moment, RunSpec
from genvx.core.runs.runinfo import LogPiece
from genvx.core.runs.runstate import name_of
from genvx.core.runs.trial import Trial
from genvx.core.value import replace
from genvx.core.wire.acts import Signal
from genvx.core.wire.asking import call_of, reply_form
from genvx.core.wire.call import Call
from genvx.core.wire.job import Job
from genvx.core.wire.ongoing import Hold, OpenShell, Run
from genvx.core.wire.progress import Joined, NeverRan
from genvx.core.wire.questions import Examine, TakeSnapshot
from genvx.core.wire.replyreader import ReplyReader
from genvx.core.wire.runoperations import (
    FindRuns,
    LogEnd,
    StopRun,
    SubmitAndWatch,
    SubmitRun,
    WatchRun,
    WithdrawRun,
)
from genvx.core.wire.treeoperations import Received, SendTree
from genvx.errors import (
    AgentError,
    CommandNotFound,
    GenvxError,
    InvalidInput,
    ProtocolError,
    TreeMissing,
    UnknownRun,
)
from genvx.local import shells
from genvx.local.host import LocalHost
from genvx.local.trees.project import Gathered
from tests.capabilities import old_pythons
from tests.conftest import ROOT
from tests.helpers import PATIENCE, until
from tests.local.trees.trees import plant, seen

HOLD = Hold(Ask(Requirements(2), "h"))
RUN = call_of(Run(Ask(Requirements()), Job(("true",))), "aabb")

SUBMIT = call_of(
    SubmitRun(RunSpec("abcd1234", ("true",), Requirements(), "", "", Moment(0, 0))), "aabb"
)

FAR_ROOMS = ["errors.py", "_version.py", "__init__.py", "core", "shell", "local", "shown", "agent"]


def run_agent(call, *, python=sys.executable, stdin=b"", path=str(ROOT), words=(), **env):
    return subprocess.run(
        [python, "-W", "ignore", "-m", "genvx.agent", *words],
        input=(call.to_bytes() if call else b"") + stdin,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": path, **env},
        timeout=30,
    )


def _changed(call, path, value):
    """A call with another value at a place in its arguments."""
    arguments = copy.deepcopy(call.arguments)
    inner = arguments
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return replace(call, arguments=arguments)


def granted(reply):
    return reply_form(HOLD).read(reply.result())


def reply_of(answer, token="aabb"):
    reader = ReplyReader(token)
    reply = reader.feed(answer.stdout)
    assert reply is not None, answer
    return reply, reader.rest


def ask(operation):
    reply = reply_of(run_agent(call_of(operation, "aabb")))[0]
    return reply_form(operation).read(reply.result())


def running(gpus, name, *argv):
    return call_of(Run(Ask(Requirements(gpus), name), Job(argv)), "aabb")


def test_a_snapshot_is_asked_and_answered(state):
    assert len(ask(TakeSnapshot()).devices) == 2


def test_a_command_gets_what_follows_the_call_on_stdin_and_its_output_follows_the_reply(state):
    answer = run_agent(running(1, "x", "sh", "-c", "cat; exit 3"), stdin=b"the rest\0\xff")
    reply, rest = reply_of(answer)
    assert granted(reply).name == "x"
    assert (rest, answer.returncode) == (b"the rest\0\xff", 3)


def test_what_a_library_prints_does_not_get_into_the_reply(state, tmp_path):
    (tmp_path / "filelock.py").write_text("print('noise from a library')\n")
    call = Call("doctor", "aabb")
    answer = run_agent(call, path=f"{tmp_path}:{ROOT}")
    assert b"noise" not in answer.stdout
    assert b"noise" in answer.stderr
    reply_of(answer)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (Call("dance", "aabb"), AgentError, "no operation 'dance'"),
        (Call("snapshot", "aabb", protocol=99), AgentError, "speaks protocol 2"),
        (Call("release", "aabb"), ProtocolError, "has no environment"),
        (_changed(RUN, ("job", "argv"), []), ProtocolError, "at least one word"),
        (_changed(RUN, ("job", "argv"), ["a\0b"]), ProtocolError, "NUL"),
        (_changed(RUN, ("job", "argv"), ["no-such"]), CommandNotFound, "command not found"),
        (_changed(RUN, ("job", "cwd"), "/no/such"), InvalidInput, "no such directory: /no/such"),
        (_changed(RUN, ("job", "variables"), {"A B": ""}), ProtocolError, "not the name of a var"),
        (Call("run-pull", "aabb", {"run": "no-such"}), UnknownRun, "no run 'no-such'"),
        (Call("tree-send", "aabb"), ProtocolError, "has no tree"),
        (Call("tree-find", "aabb", {"tree": "\0"}), ProtocolError, "impossible tree"),
        (_changed(SUBMIT, ("spec", "project"), {"tree": "x"}), ProtocolError, "64 hex digits"),
        (_changed(SUBMIT, ("spec", "project"), {"tree": "0" * 64}), TreeMissing, "is not here"),
        (_changed(RUN, ("wanted", "requirements", "gpus"), -1), ProtocolError, "impossible gpus"),
        (_changed(RUN, ("wanted", "is"), "dance"), ProtocolError, "impossible is"),
        (call_of(Signal("abcd", "KILL"), "aabb"), InvalidInput, "not a signal"),
        (_changed(SUBMIT, ("spec", "argv"), []), ProtocolError, "no command to run"),
        (_changed(SUBMIT, ("spec", "id"), "../../x"), ProtocolError, "impossible id"),
        (_changed(SUBMIT, ("spec", "cwd"), "/no/such"), InvalidInput, "no such directory"),
        (_changed(SUBMIT, ("tags",), [""]), InvalidInput, "a tag has"),
        (call_of(StopRun("no-such"), "aabb"), UnknownRun, "no run 'no-such'"),
        (call_of(WithdrawRun("no-such"), "aabb"), UnknownRun, "no run 'no-such'"),
        (call_of(WatchRun("../x"), "aabb"), UnknownRun, "no run '../x'"),
    ],
)
def test_a_bad_call_is_an_error_by_its_name(state, call, error, words):
    reply, _ = reply_of(run_agent(call))
    with pytest.raises(GenvxError, match=words) as caught:
        reply.result()
    assert type(caught.value) is error


@pytest.mark.parametrize("stdin", [b"", b"ls -l\n", b"GENVX-CALL 3\nabc"])
def test_without_a_call_it_says_so_and_no_traceback(state, stdin):
    answer = run_agent(None, stdin=stdin)
    assert answer.returncode == 4
    assert answer.stderr.count(b"\n") == 1
    assert answer.stdout == b""


@pytest.fixture
def hold(state):
    """A far end that holds two devices for us: says a word to it, or closes it with None, and gives
    what it replies.
    """
    call = call_of(HOLD, "aabb")
    process = subprocess.Popen(
        [sys.executable, "-m", "genvx.agent"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    process.stdin.write(call.to_bytes())
    process.stdin.flush()

    def write(word):
        process.stdin.write(word)
        process.stdin.flush()

    def say(word):
        if word is None:
            process.stdin.close()
        else:
            write(word)
        reader = ReplyReader("aabb")
        reply = None
        while reply is None:
            data = os.read(process.stdout.fileno(), 65536)
            assert data, "it ended without a reply"
            reply = reader.feed(data)
        return reply

    say.environment = granted(say(b"")).environment_id
    say.ended, say.write = process.wait, write
    yield say
    process.stdin.close()
    process.stdout.close()
    process.wait(timeout=20)


def shell(environment, *argv):
    return run_agent(None, words=[call_of(OpenShell(environment, job=Job(argv)), "aabb").to_word()])


def test_a_hold_is_told_that_a_shell_has_joined_and_lets_go(hold):
    """Also of one that has ended when it looks."""
    assert shell(hold.environment, "sh", "-c", "exit 75").returncode == 75
    reply = hold(b">")
    assert reply_form(HOLD).read(reply.result()) == Joined()
    assert hold.ended(timeout=20) == 0
    assert ask(TakeSnapshot()).leases == ()


def test_a_hold_is_told_why_a_shell_has_not_joined(hold):
    answer = shell(hold.environment, "no-such-program")
    assert (answer.returncode, answer.stdout, answer.stderr) == (127, b"", b"")
    reply = hold(b">")
    assert reply.error == "CommandNotFound"
    assert "command not found" in reply.message


def test_a_hold_whose_shell_never_came_says_what_the_shell_there_reads_first(hold):
    hold.write(b">")
    reply = hold(None)
    assert reply_form(HOLD).read(reply.result()) == NeverRan(shells.first_file())


def test_a_hold_lasts_until_its_stdin_ends(state):
    call = call_of(HOLD, "aabb")
    process = subprocess.Popen(
        [sys.executable, "-m", "genvx.agent"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    process.stdin.write(call.to_bytes())
    process.stdin.flush()
    reader = ReplyReader("aabb")
    while reader.feed(os.read(process.stdout.fileno(), 65536)) is None:
        pass
    assert len(ask(TakeSnapshot()).available) == 0
    process.communicate()
    assert process.returncode == 0
    assert len(ask(TakeSnapshot()).available) == 2


def test_the_agent_imports_none_of_the_clients_libraries(state):
    code = (
        "import sys\n"
        "import genvx.agent.serve\n"
        "heavy = {'fabric', 'paramiko', 'typer', 'click', 'pydantic', 'filelock',"
        " 'pynvml', 'asyncio', 'genvx.fleet', 'genvx.cli'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert answer.stdout == "[]\n", answer.stderr


def test_a_question_loads_the_tables_of_its_own_operation_only(state):
    code = (
        "import sys, io, os\n"
        "from genvx.agent.serve import serve\n"
        "serve('', bytes.fromhex(sys.argv[1]))\n"
        "others = {'base64', 'genvx.core.policies.policy', 'genvx.core.line.queue',"
        " 'genvx.core.placing.placement',"
        " 'genvx.core.wire.acts', 'genvx.core.wire.ongoing', 'genvx.core.wire.findingcodec',"
        " 'genvx.core.wire.policycodec', 'genvx.core.wire.runoperations', 'genvx.agent.acts'}\n"
        "sys.stderr.write(str(sorted(others & set(sys.modules))))\n"
    )
    call = call_of(TakeSnapshot(), "aabb").to_bytes()
    answer = subprocess.run(
        [sys.executable, "-c", code, call.hex()],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert answer.stderr == "[]", answer.stdout


def _far_files():
    for name in FAR_ROOMS:
        path = ROOT / "genvx" / name
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


@pytest.mark.parametrize("path", list(_far_files()), ids=lambda p: str(p.relative_to(ROOT)))
def test_what_runs_on_hosts_parses_on_python_3_9(path):
    ast.parse(path.read_text(), feature_version=(3, 9))


@pytest.mark.needs("pythons")
@pytest.mark.parametrize("python", old_pythons() or ["none"], ids=os.path.basename)
def test_the_agent_answers_and_leases_on_every_python_from_3_9(state, python, tmp_path):
    # Without our libraries: as on a host whose Python cannot import filelock.
    (tmp_path / "genvx").symlink_to(ROOT / "genvx")
    call = running(2, "old", "sh", "-c", "echo $GENVX_DEVICES")
    answer = run_agent(call, python=python, path=str(tmp_path))
    reply, rest = reply_of(answer)
    assert granted(reply).name == "old"
    assert (rest, answer.returncode, answer.stderr) == (b"0,1\n", 0, b"")
    reply = reply_of(run_agent(call_of(Examine(), "aabb"), python=python, path=str(tmp_path)))[0]
    doctor = reply_form(Examine()).read(reply.result()).findings
    assert any(f.check == "filelock" and f.severity is Severity.WARNING for f in doctor)


def submit(argv, python, path, project=None):
    spec = RunSpec("abcd1234", argv, Requirements(1), "", "", Moment(0, 0), project=project)
    answer = run_agent(call_of(SubmitRun(spec), "aabb"), python=python, path=path)
    assert answer.stderr == b""
    return reply_form(SubmitRun(spec)).read(reply_of(answer)[0].result())


def watched(answer, asked):
    """All that somebody who watches a run is sent."""
    data, news = answer.stdout, []
    while data:
        reader = ReplyReader("aabb")
        news.append(reply_form(asked).read(reader.feed(data).result()))
        data = reader.rest
    return news


@pytest.mark.needs("pythons")
@pytest.mark.parametrize("python", [sys.executable, *old_pythons()], ids=os.path.basename)
def test_code_is_received_and_copied_on_every_python(state, python, tmp_path, monkeypatch):
    monkeypatch.setenv("GENVX_RUNS_DIR", str(tmp_path / "runs"))
    (tmp_path / "genvx").symlink_to(ROOT / "genvx")
    plant(tmp_path / "code")
    project = Gathered(str(tmp_path / "code")).read({"HOME": str(tmp_path)})
    # What is asked for is known before: a host that has nothing lacks everything.
    frames = [*frame(project.manifest.to_bytes(), packed=True)]
    for content, packed in project.contents(range(len(project.manifest.bodies()))):
        frames += frame(content, packed=packed)
    asked = SendTree(project.recorded.tree)
    call, path = call_of(asked, "aabb"), str(tmp_path)
    answer = run_agent(call, python=python, path=path, stdin=b"".join(frames))
    assert answer.stderr == b""
    assert watched(answer, asked)[-1] == Received()
    run = submit(("true",), python, path, project.recorded)
    follow = WatchRun(run.id)
    answer = run_agent(call_of(follow, "aabb"), python=python, path=path)
    assert name_of(watched(answer, follow)[-1].run.state) == "completed"
    assert seen(tmp_path / "runs" / run.id / "work") == seen(tmp_path / "code")


@pytest.mark.needs("pythons")
@pytest.mark.parametrize("python", [sys.executable, *old_pythons()], ids=os.path.basename)
def test_a_run_outlives_the_agent_and_its_log_is_read_to_its_end(
    state, python, tmp_path, monkeypatch
):
    """The agent's pipes are read to their end here, so its supervisor has none of them."""
    monkeypatch.setenv("GENVX_RUNS_DIR", str(tmp_path / "runs"))
    (tmp_path / "genvx").symlink_to(ROOT / "genvx")
    go = tmp_path / "go"
    line = f"echo first; until [ -e {go} ]; do sleep 0.01; done; echo last; exit 3"
    run = submit(("sh", "-c", line), python, str(tmp_path))
    assert name_of(run.state) == "running"
    asked = WatchRun(run.id)
    process = subprocess.Popen(
        [python, "-m", "genvx.agent"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    process.stdin.write(call_of(asked, "aabb").to_bytes())
    process.stdin.flush()
    go.touch()
    out = process.stdout.read()
    process.stdin.close()
    process.stdout.close()
    assert process.wait() == 0
    news = watched(subprocess.CompletedProcess([], 0, stdout=out), asked)
    pieces = [each for each in news if isinstance(each, LogPiece)]
    assert b"".join(each.data for each in pieces) == b"first\nlast\n"
    assert isinstance(news[-1], LogEnd)
    assert news[-1].run.state.end.exit_code == 3
    again = WatchRun(run.id, offset=len("first\n"), follow=False)
    answer = run_agent(call_of(again, "aabb"), python=python, path=str(tmp_path))
    assert [e.data for e in watched(answer, again) if isinstance(e, LogPiece)] == [b"last\n"]
    assert [each.id for each in ask(FindRuns("1"))] == [run.id]


def test_an_agent_stays_for_the_next_run(state, tmp_path, monkeypatch):
    monkeypatch.setenv("GENVX_RUNS_DIR", str(tmp_path / "runs"))
    process = subprocess.Popen(
        [sys.executable, "-m", "genvx.agent"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def news_of(asked):
        process.stdin.write(call_of(asked, "aabb").to_bytes())
        reader, form, news = ReplyReader("aabb"), reply_form(asked), []
        data = b""
        while not (news and isinstance(news[-1], LogEnd)):
            reply = reader.feed(data)
            if reply is None:
                data = process.stdout.read(65536)
                assert data
                continue
            news.append(form.read(reply.result()))
            data, reader = reader.rest, ReplyReader("aabb")
        return news

    for number in (1, 2):
        line = f'echo out; echo {number} >> "$GENVX_REPORT"; exit {number}'
        asked = SubmitAndWatch(
            replace(
                RunSpec(
                    f"abcd000{number}", ("sh", "-c", line), Requirements(2), "", "", Moment(0, 0)
                ),
                trial=Trial("abcd1234", number, {}),
            ),
            60.0,
            reports=True,
        )
        first, *_, last = news = news_of(asked)
        assert first.id == last.run.id == asked.spec.id
        assert last.run.state.end.exit_code == number
        reported = b"".join(each.data for each in news if isinstance(each, LogPiece))
        assert reported == b"%d\n" % number
    process.stdin.close()
    assert process.wait(PATIENCE) == 0
    assert process.stdout.read() == b""
    process.stdout.close()


@pytest.mark.parametrize("fast", [0, math.inf], ids=["a fast way", "a slow way"])
def test_a_log_comes_whole_deflated_or_as_it_is(state, tmp_path, monkeypatch, fast):
    monkeypatch.setenv("GENVX_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr("genvx.agent.pieces._FAST", fast)
    printed = tmp_path / "printed"
    printed.write_bytes(os.urandom(100_000) + b"\n" * 900_000 + b"end")
    run = submit(("cat", str(printed)), sys.executable, str(ROOT))
    until(lambda: name_of(ask(FindRuns(run.id))[0].state) == "completed")
    asked, sent = WatchRun(run.id), []

    def send(reply):
        sent.append(reply.to_bytes("aabb"))
        return len(sent[-1])

    pieces = Pieces(SimpleNamespace(send=send), asked)
    for news in LocalHost().watch(asked, lambda seconds: False):
        pieces.send(news)
    out = b"".join(sent)
    assert (len(out) > 1_000_000) is (fast == 0)
    read = watched(subprocess.CompletedProcess([], 0, stdout=out), asked)
    data = b"".join(each.data for each in read if isinstance(each, LogPiece))
    assert data == printed.read_bytes()
