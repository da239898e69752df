"""Tables and refusals of people with many GPUs: on a terminal nothing wraps, in a pipe nothing is
shortened.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import signal
import subprocess
import sys

import pexpect
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.cli.show.refusal import WAIT
from genvx.cli.show.watch import fitted
from genvx.core.device import Device
from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.snapshot import Snapshot
from genvx.core.usage import DeviceUsage, Driver
from genvx.shown import columns
from genvx.shown.cells import shortened, width
from genvx.shown.colours import cut, plain, takes_colours
from genvx.shown.columns import Fitting, lay_out
from genvx.shown.devices import rows
from tests.conftest import run_genvx
from tests.helpers import Terminal, genvx_argv, genvx_env, until

# Thirty hosts with eight GPUs each, leased to three people, and with people in line on twenty.
_MANY = """
import sys
from genvx.cli.show.refusal import advise, say_refusal
from genvx.cli.show.output import Output
from genvx.cli.views import devices, envs, explain, queue
from genvx.cli.ask.where import Where
from genvx.core.device import Device
from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.requests.requirements import Requirements
from genvx.core.line.ticket import Ticket
from genvx.errors import HostUnreachable, NoCapacity
from genvx.fleet.fleet import Fleet
from genvx.testing import FakeHost

PEOPLE = Owner(1005, "alice"), Owner(1006, "bob"), Owner(1007, "maximilian.mustermann")
hosts = []
for number in range(1, 31):
    name = f"gpu-server-{number}"
    model = "NVIDIA A100-SXM4-80GB" if number % 3 else "NVIDIA H100 80GB HBM3"
    gpus = [Device(f"GPU-{number}-{n}", n, model, 80 << 30) for n in range(8)]
    leases = [
        Lease(tuple(d.uuid for d in held), None, expires_ns=7200 * 10**9, boot_id="fake",
              since_ns=0, pid=4194000 + k, id=f"{number * 10 + k:016x}",
              owner=PEOPLE[(number + k) % 3],
              environment_id=f"{number * 10 + k:08x}",
              name=("job-1", "train-llama-70b-on-everything")[k])
        for k, held in enumerate((gpus[:6], gpus[6:]))
    ]
    hosts.append(FakeHost(name, gpus, leases=leases, owner=PEOPLE[0]))
    for k in range(3):
        if number <= 20:
            hosts[-1]._tickets.append(Ticket(Requirements(4), 1 << 62, id=f"{k:016x}",
                                             owner=PEOPLE[k], environment_id=f"{k:08x}",
                                             name=f"sweep-{k}", boot_id="fake", since_ns=k))
hosts[6] = FakeHost("gpu-server-7", error=HostUnreachable("no route to host"))
where, fleet, output = Where(remote=True), Fleet(hosts), Output()
SHOW = {
    "devices": lambda: devices.show(where, fleet, output),
    "by-device": lambda: devices.show(where, fleet, output, by_device=True),
    "envs": lambda: envs.show(where, fleet, output),
    "queue": lambda: queue.show(where, fleet, output),
    "explain": lambda: explain.show(where, fleet, output, Requirements(8)),
}
if sys.argv[1] in SHOW:
    SHOW[sys.argv[1]]()
else:
    try:
        fleet.activate(gpus=8)
    except NoCapacity as error:
        advise(error)
        say_refusal(error)
"""


def many(what):
    return [sys.executable, "-c", _MANY, what]


def in_a_pipe(what):
    answer = subprocess.run(many(what), capture_output=True, text=True, env=genvx_env())
    return answer.stdout + answer.stderr


def on_a_terminal(what):
    terminal = Terminal(many(what), genvx_env(), size=(24, 80))
    terminal.child.expect(pexpect.EOF)
    return terminal.child.before.replace("\r", "").splitlines()


@pytest.mark.parametrize("what", ["devices", "by-device", "envs", "queue", "explain", "refusal"])
def test_nothing_of_thirty_hosts_wraps_on_a_terminal_and_in_a_pipe_all_of_it_is_there(what):
    shown = [plain(line) for line in on_a_terminal(what)]
    assert max(map(width, shown)) <= 80
    assert any("…" in line for line in shown)
    piped = in_a_pipe(what)
    assert "…" not in piped
    assert "maximilian.mustermann(1007)" in piped


def test_rows_of_a_table_that_is_longer_than_the_terminal_are_together_unless_all_are_wanted(state):
    def shown(*options, size=(12, 80), **variables):
        argv = genvx_argv("devices", *options)
        terminal = Terminal(argv, genvx_env(GENVX_SIMULATE="16xA100-80GB", **variables), size=size)
        terminal.child.expect(pexpect.EOF)
        return terminal.child.before.replace("\r", "").splitlines()

    whole = shown("--all-rows", NO_COLOR="1")
    (row,) = shown(NO_COLOR="1")[1:-2]
    assert (len(whole), row.split()[0], row.split()[-1]) == (16 + 3, "0-15", "free")
    assert shown("--compact", NO_COLOR="1", size=(40, 80))[1] == row
    assert shown(NO_COLOR="1", size=(40, 80)) == whole
    assert shown("-v", NO_COLOR="")[1] == row.replace("free", "\x1b[32mfree\x1b[0m")
    piped = run_genvx("devices", env={"GENVX_SIMULATE": "16xA100-80GB"})
    assert len(piped.stdout.splitlines()) == len(whole)
    assert run_genvx("devices", "--compact", "--json").returncode == 2


@pytest.mark.needs("tmux")
def test_in_tmux_a_row_is_a_line_that_begins_with_its_host_and_gpus(short_tmp):
    env = genvx_env(TMUX_TMPDIR=str(short_tmp), TERM="xterm-256color", NO_COLOR="")
    env.pop("TMUX", None)

    def tmux(*arguments):
        return subprocess.run(
            ["tmux", "-u", "-f", "/dev/null", *arguments], env=env, capture_output=True, text=True
        ).stdout

    named = _MANY.replace("train-llama-70b-on-everything", "名前の長い実験" * 3)
    (short_tmp / "many.py").write_text(named)
    words = shlex.join([sys.executable, str(short_tmp / "many.py"), "by-device"])
    tmux("new-session", "-d", "-x", "80", "-y", "80", f"{words}; exec cat")
    try:
        until(lambda: "Total 232 devices" in tmux("capture-pane", "-p"), "the table is there")
        _, *rows = tmux("capture-pane", "-p").rstrip().splitlines()
        assert all(re.match(r"gpu-server-\d+ +(0-5|6, 7) .* leased ", row) for row in rows[:58])
        assert {width(row) for row in rows} <= set(range(81))
        assert "\x1b[36mleased" in tmux("capture-pane", "-p", "-e")
    finally:
        tmux("kill-server")


def test_a_host_of_many_says_its_model_its_memory_and_who_is_on_it():
    header, first, *_ = on_a_terminal("devices")
    assert header.split() == ["HOST", "TOTAL", "AVAILABLE", "MODEL", "MEMORY", "USERS"]
    assert first.split()[:5] == ["gpu-server-1", "8", "0", "A100-SXM4…", "80"]
    assert first.endswith("bob(1006), maximilian.must…")


def test_ages_are_whole_on_a_terminal():
    _, *rows = on_a_terminal("envs")
    rows = [row for row in rows if re.match(r"gpu-server-\d+ +[0-9a-f]{8} ", row)]
    assert len(rows) == 58
    assert all(re.search(r" \d+ (s|min|h|d) ago ", row) for row in rows)


def test_the_id_of_an_environment_is_whole_in_a_table_of_devices():
    unnamed = _MANY.replace('("job-1", "train-llama-70b-on-everything")[k]', '""')
    terminal = Terminal([sys.executable, "-c", unnamed, "by-device"], genvx_env(), size=(24, 80))
    terminal.child.expect(pexpect.EOF)
    assert " 00000014 " in terminal.child.before


@pytest.mark.parametrize(
    "words",
    [
        ["devices"],
        ["devices", "-v"],
        ["envs"],
        ["queue"],
        ["status"],
        ["policy"],
        ["doctor"],
        ["explain", "-g", "1"],
    ],
    ids=" ".join,
)
def test_where_no_host_answers_there_is_no_table_and_a_line_a_host(state, words):
    answer = run_genvx("remote", "-H", "a.invalid,b.invalid", *words)
    assert (answer.returncode, answer.stdout) == (4, "")
    assert [line.split(":")[0] for line in answer.stderr.splitlines()] == ["a.invalid", "b.invalid"]
    as_csv = run_genvx("remote", "-q", "-H", "a.invalid", *words, "--csv")
    assert as_csv.stdout.count("\n") == 1


def test_a_request_that_waits_in_twenty_lines_is_one_row():
    header, *rows, _, total, _ = in_a_pipe("queue").splitlines()
    assert header.split()[0] == "HOST"
    assert [row.split()[:4] for row in rows] == [
        ["gpu-server-[1-6,8-20]", f"{k:08x}", user, f"sweep-{k}"]
        for k, user in enumerate(["alice(1005)", "bob(1006)", "maximilian.mustermann(1007)"])
    ]
    assert total == "Total 3 waiting on 29 hosts"


def test_explain_says_once_what_is_the_same_of_several_devices():
    rows = [line for line in in_a_pipe("explain").splitlines() if "gpu-server-30 " in line]
    assert [row.split()[2] for row in rows] == ["0-5", "6,"]


def test_a_refusal_of_many_hosts_fits_a_screen_and_ends_with_what_would_help():
    shown = on_a_terminal("refusal")
    assert shown[0] == "Cannot find a host with enough available resources"
    assert shown[1].startswith("  gpu-server-1: 0 of 8 available (GPUs 0-5: leased by bob(1006) as")
    assert shown[-2:] == ["  and 12 more hosts", WAIT]
    assert len(shown) < 24


def test_a_refusal_in_a_pipe_has_all_hosts():
    lines = in_a_pipe("refusal").splitlines()
    assert len(lines) == 32
    assert lines[7] == "  gpu-server-7: no route to host"


def test_a_refusal_of_this_machine_groups_and_says_that_one_can_wait(state):
    env = {"GENVX_SIMULATE": "8xA100-80GB"}
    inside = genvx_argv("run", "-g", "3", "--", "true")
    answer = run_genvx("run", "-g", "6", "-n", "job-1", "--", *inside, env=env)
    assert answer.returncode == 3
    first, last = answer.stderr.splitlines()
    assert first.startswith("genvx: 3 GPUs wanted, 2 of 8 available (GPUs 0-5: leased by ")
    assert first.endswith(" s)")
    assert " as job-1, " in first
    assert last == WAIT


def test_a_refusal_of_this_machine_is_broken_between_words_on_a_terminal(state):
    simulated = "8xA100-80GB," + ",".join(f"process=1:{n}0G@{n}" for n in range(1, 5))
    refused = genvx_argv("run", "-g", "8", "--", "true")
    terminal = Terminal(refused, genvx_env(GENVX_SIMULATE=simulated), size=(24, 80))
    terminal.child.expect(pexpect.EOF)
    *lines, last = terminal.child.before.replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 80
    whole = run_genvx("run", "-g", "8", "--", "true", env={"GENVX_SIMULATE": simulated})
    assert " ".join(line.strip() for line in lines) == whole.stderr.splitlines()[0]
    assert last == WAIT


def test_what_is_never_to_be_had_says_nothing_of_who_has_the_rest(state):
    inside = genvx_argv("run", "-g", "3", "--", "true")
    answer = run_genvx("run", "-g", "1", "-n", "job-1", "--", *inside)
    assert answer.stderr == "genvx: 3 GPUs wanted, but this host has 2 at most\n"


def test_what_is_never_to_be_had_is_not_waited_for(state):
    answer = run_genvx("run", "-g", "3", "--", "true")
    assert answer.stderr.splitlines() == ["genvx: 3 GPUs wanted, but this host has 2 at most"]


def test_devices_and_the_time_that_is_left_are_columns_of_envs(state):
    env = {"GENVX_SIMULATE": "4xA100-80GB"}
    run_genvx("acquire", "-g", "3", "--for", "2h", "-n", "x", env=env)
    header, row, *_ = run_genvx("envs", env=env).stdout.splitlines()
    assert header.split() == ["ID", "USER", "NAME", "CREATED", "DEVICES", "LEFT", "PID"]
    assert "  0-2 (simulated)  1 h 59 min  " in row
    csv = run_genvx("envs", "--csv", "--no-header", "--fields", "devices", env=env).stdout
    assert csv == '"0, 1, 2 (simulated)"\n'


@given(st.text(), st.integers(0, 20))
def test_what_is_shortened_fits(text, most):
    assert width(shortened(text, most)) <= most or not most


@given(
    st.lists(st.lists(st.text(max_size=30), min_size=3, max_size=3), min_size=1),
    st.integers(20, 60),
)
def test_a_table_fits_whatever_is_in_it(rows, most):
    lines = lay_out(["A", "B", "C"], rows, most=most, yielding={2: 6, 0: 10})
    assert max(map(width, lines)) <= most


def test_the_least_important_column_gives_way_first():
    rows = [["a" * 10, "b" * 10, "c" * 10]]
    assert lay_out(None, rows, most=30, yielding={1: 4, 0: 6}) == ["aaaaaaaaaa  bbbbb…  cccccccccc"]
    assert lay_out(None, rows, most=22, kept=[1]) == ["aaa…  bbbbbbbbbb  ccc…"]
    assert lay_out(None, rows, most=26, yielding={1: 4, 0: 6}) == ["aaaaaaa…  bbb…  cccccccccc"]


def test_a_column_that_wraps_loses_nothing():
    lines = lay_out(["A", "B"], [["x", "one two three four"]], most=12, wrapping=[1])
    assert [line.strip() for line in lines] == ["A  B", "x  one two", "three", "four"]


def test_of_two_columns_with_one_name_both_wrap(monkeypatch):
    monkeypatch.setattr(columns, "terminal_size", lambda _: os.terminal_size((26, 24)))
    text = "one two three four five"
    wrapping = Fitting(wrapping=("id",))
    table = columns.table_for(sys.stdout, ["", "id", "id"], [["x", text, text]], wrapping)
    assert "".join(table.lines).count("five") == 2


FITTING = Fitting(yielding={"NAME": 4}, dropped=("SINCE", "NAME"), kept=("ID",))
COLUMNS = ("ID", "NAME", "SINCE", "STATE")


@pytest.mark.parametrize(
    ("most", "left"),
    [
        (40, ["ID", "NAME", "SINCE", "STATE"]),
        (30, ["ID", "NAME", "SINCE", "STATE"]),  # NAME is shortened
        (26, ["ID", "NAME", "STATE"]),
        (18, ["ID", "STATE"]),
        (2, ["ID", "STATE"]),
    ],
)
def test_what_is_least_important_is_left_out_where_shortening_is_not_enough(most, left):
    rows = [["0123456789", "a-long-name", "2 h", "free"]]
    found = columns.fitted_columns(COLUMNS, rows, FITTING, most)
    assert [COLUMNS[at] for at in found] == left


def test_a_column_without_text_is_left_out_before_any_other():
    rows = [["0123456789", "", "2 h", "free"]]
    found = columns.fitted_columns(COLUMNS, rows, FITTING, 28)
    assert [COLUMNS[at] for at in found] == ["ID", "SINCE", "STATE"]


@given(
    st.lists(st.lists(st.text("名ab ", max_size=30), min_size=3, max_size=3), min_size=1),
    st.integers(1, 60),
)
def test_what_says_which_row_it_is_is_never_cut(rows, most):
    lines = lay_out(None, rows, most=most, yielding={1: 4}, kept=[0])
    for line, row in zip(lines, rows, strict=True):
        assert line.startswith(row[0].rstrip())


def test_colours_are_for_terminals_whose_user_wants_them():
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    assert takes_colours(terminal, {"TERM": "xterm"})
    assert not takes_colours(terminal, {"TERM": "xterm", "NO_COLOR": "1"})
    assert not takes_colours(terminal, {"TERM": "dumb"})
    assert not takes_colours(io.StringIO(), {"TERM": "xterm"})


def test_a_word_has_its_colour_however_much_of_it_is_shown():
    (line,) = lay_out(None, [["0", "unhealthy", "x"]], most=9, yielding={1: 4}, coloured=[1])
    assert line == "0  \x1b[31mun…\x1b[0m  x"
    assert width(plain(cut(line, 5))) == 5
    assert lay_out(None, [["llama", "odd"]], coloured=[0, 1]) == ["llama  odd"]


def gpus(**used):
    """Four GPUs; used: GiB and percent of those that one environment holds."""
    devices = [Device(f"GPU-{n}", n, "A100", 80 << 30) for n in range(4)]
    held = tuple(f"GPU-{name[1:]}" for name in used)
    lease = Lease(
        held, None, id="1" * 16, owner=Owner(1, "ann"), environment_id="e" * 8, name="llama",
        boot_id="b", since_ns=0,
    )  # fmt: skip
    usage = {
        f"GPU-{name[1:]}": DeviceUsage(memory_used=size << 30, utilization=busy)
        for name, (size, busy) in used.items()
    }
    leases = (lease,) if held else ()
    return Snapshot("a", "1", "b", 0, Driver("1"), tuple(devices), usage, leases)


def test_neighbours_that_are_alike_are_one_row_with_what_they_use_from_to():
    snapshot = gpus(g0=(60, 93), g1=(72, 97), g2=(70, 95))
    found = rows(snapshot.devices, snapshot, lambda age: "now", compact=True)
    assert found == [
        ["0-2", "A100", "80 GiB", "60-72 GiB", "93-97 %", "leased", "ann(1)", "llama", "now"],
        ["3", "A100", "80 GiB", "?", "?", "free", "", "", ""],
    ]
    assert len(rows(snapshot.devices, snapshot, lambda age: "now")) == 4


def test_devices_that_are_no_neighbours_are_not_one_row():
    snapshot = gpus(g1=(60, 0))
    found = rows(snapshot.devices, snapshot, lambda age: "now", compact=True)
    assert [cells[0] for cells in found] == ["0", "1", "2, 3"]


def test_chinese_characters_take_two_cells():
    assert lay_out(None, [["名", "x"], ["ab", "y"]]) == ["名  x", "ab  y"]


def test_of_a_table_that_has_no_room_the_top_and_the_summary_stay():
    table = ["HEAD", *(f"row {n}" for n in range(100)), "", "Total 100"]
    assert fitted(table, 6) == ["HEAD", "row 0", "row 1", "and 98 more lines", "", "Total 100"]
    assert fitted(table, 200) == table


# Watching


@pytest.fixture
def watching(state):
    terminal = Terminal(
        genvx_argv("devices", "-w", "--interval", "0.2", "--all-rows"),
        genvx_env(GENVX_SIMULATE="64xA100-80GB"),
        size=(12, 60),
    )
    terminal.child.logfile_read = io.StringIO()
    for _ in range(2):
        terminal.expect("\x1b[HGPU ")
        terminal.expect("and 56 more lines")
        terminal.expect("Total 64 devices with 64 available")
    return terminal


def said(terminal):
    return terminal.child.logfile_read.getvalue()


def test_watch_keeps_header_top_and_summary_in_the_other_screen_until_ctrl_c(watching):
    watching.key("\x03")
    assert watching.end() == 130
    assert said(watching).startswith("\x1b[?1049h")
    assert said(watching).endswith("\x1b[?1049l")
    page = said(watching).split("\x1b[H")[2].split("\x1b[J")[0].split("\r\n")
    assert len(page) == 12
    assert all(width(plain(line.replace("\x1b[K", ""))) <= 60 for line in page)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_watch_that_is_killed_gives_the_terminal_back(watching, number):
    watching.child.kill(number)
    watching.child.expect(pexpect.EOF)
    watching.child.close()
    assert watching.child.signalstatus == number
    assert said(watching).endswith("\x1b[?1049l")


@pytest.mark.needs("bash")
def test_a_watch_that_is_stopped_gives_the_terminal_back_and_goes_on(state):
    shell = Terminal(["bash", "--norc", "-i"], genvx_env(PS1="ready> "), size=(12, 60))
    shell.expect("ready> ")
    shell.line(" ".join(genvx_argv("devices", "-w", "--interval", "0.2")))
    shell.expect("\x1b[?1049h")
    shell.expect("Total 2 devices with 2 available")
    shell.key("\x1a")
    shell.expect("\x1b[?1049l")
    shell.expect("ready> ")
    shell.line("fg")
    shell.expect("\x1b[?1049h")
    shell.expect("Total 2 devices with 2 available")
    shell.key("\x03")
    shell.expect("\x1b[?1049l")
    shell.line("exit")
    shell.end()


def test_a_table_can_be_printed_as_pages_want_it(cli, state):
    header, _, *rows = cli("devices", "--as", "github").stdout.splitlines()
    assert [cell.strip() for cell in header.strip("|").split("|")][:3] == ["GPU", "NAME", "MEMORY"]
    assert rows
    assert all(row.startswith("| ") for row in rows)


def test_what_people_have_typed_is_escaped_in_a_page(cli, state):
    cli("acquire", "--gpus", "1", "--for", "1h", "--name", "<script>")
    shown = cli("envs", "--as", "html").stdout
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown


@pytest.mark.parametrize("style", ["nope", "unsafehtml", "\x1b[2J"])
def test_a_style_that_is_not_there_is_refused_with_those_that_are(cli, state, style):
    answer = cli("devices", "--as", style)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "there are " in answer.stderr
    assert "\x1b" not in answer.stderr.replace("\\x1b", "")
