"""The screen of genvx top, from values: what is on it, at which size, and what keys do to it."""

from __future__ import annotations

import importlib.util
import re
import sys

import pytest

from genvx.cli.live.acts import Acts
from genvx.cli.live.devicepage import SIGNS
from genvx.cli.live.draw import screen
from genvx.cli.live.keys import Click, Key, Keys
from genvx.cli.live.known import Known
from genvx.cli.live.logs import Log
from genvx.cli.live.model import ABOVE, End, Follow, Model, Quit
from genvx.cli.live.pages import PAGES
from genvx.cli.live.paint import STYLES, Frame, text_of
from genvx.cli.live.rows import Target
from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import Moment, RunSpec
from genvx.core.snapshot import State
from genvx.core.usage import DeviceProcess, DeviceUsage
from genvx.core.value import replace
from genvx.core.wire.runoperations import ListRuns
from genvx.errors import GenvxError, HostUnreachable
from genvx.fleet.ask import HostGroup
from genvx.shown.cells import width
from genvx.testing import FakeHost, Played
from genvx.watching.sight import Sight
from tests.conftest import ROOT
from tests.helpers import until

ANN, SAM = Owner(1001, "ann"), Owner(1002, "sam\x1b[2J")
HOSTILE = "名前\x1b]0;x\x07\u202e" * 9


class Hostile(FakeHost):
    """A host whose every text tries something."""

    def look(self):
        snapshot = super().look()
        process = DeviceProcess(7, 1002, SAM.name, HOSTILE, 3 << 30, True, 200)
        usage = {
            device.uuid: DeviceUsage(memory_used=90 << 30, utilization=50, processes=(process,))
            for device in snapshot.devices
        }
        devices = tuple(replace(each, name=HOSTILE) for each in snapshot.devices)
        return replace(snapshot, devices=devices, usage=usage)


def lease(host, owner, name, *gpus):
    number = f"{1 + gpus[0]:04x}"
    return Lease(
        tuple(f"SIM-{host}-{index}" for index in gpus), None, id=number * 4, owner=owner,
        environment_id=number * 2, name=name, boot_id="fake", since_ns=0,
    )  # fmt: skip


def hosts(gpus=4):
    """Two hosts that answer, one of which is hostile and busy, and one that is down."""
    first = FakeHost("a", gpus, leases=[lease("a", ANN, "llama", 0, 1)], owner=ANN)
    argv = ("python", "train.py")
    first.submit(RunSpec("5f0c21ab", argv, Requirements(1), "", "", Moment(0, 10**18), name="vit"))
    first.line_up(Ask(Requirements(gpus=gpus), name="late"))
    second = Hostile("b", 2, leases=[lease("b", SAM, HOSTILE, 0)])
    down = FakeHost("down", error=HostUnreachable(HOSTILE, kind="dns"))
    return [first, second, down]


def seen(fleet):
    known = Known([host.name for host in fleet])
    for host in fleet:
        try:
            known.show(Sight(host.name, 1.0, 0.1, host.snapshot()), host.answer(ListRuns()))
        except GenvxError as error:
            known.show(Sight(host.name, 1.0, 0.1, error=error), None)
    return known.hosts()


class Person:
    """Somebody who has the screen before them."""

    def __init__(self, fleet, columns=80, lines=24):
        self.model = Model()
        self.fleet, self.size = fleet, (columns, lines)
        self.looks()

    def looks(self):
        self.model.look(seen(self.fleet), *self.size)
        return [text_of(line).rstrip() for line in self.lines()]

    def lines(self):
        return screen(self.model, self.model._hosts, 0.0)

    def types(self, *keys):
        """What the last of the keys asks for."""
        for key in keys:
            wish = self.model.take(Key(key))
            self.model.look(self.model._hosts, *self.size)
        return wish


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 10), (25, 6), (5, 2)])
@pytest.mark.parametrize("keys", ["1", "1e", "2", "3", "4", "5", "?", "ji", "3x", "/x", "4s", "1S"])
def test_every_page_fits_every_size_and_has_no_control_characters(size, keys):
    person = Person(hosts(), *size)
    person.types(*keys)
    lines = person.lines()
    assert len(lines) == size[1]
    for line in lines:
        text = text_of(line)
        assert width(text) <= size[0]
        assert text.isprintable()
        assert {style for _, style in line} <= set(STYLES)


def test_each_page_shows_what_the_verbs_show():
    person = Person(hosts(), 120, 24)
    for page, wanted in {
        "1": ["▾ a", "3 leased", "○ free", "ann", "llama", "✕ dns", "1 down"],
        "2": ["b 0 7", "no lease", "3 GiB"],
        "3": ["a 00010001 ann(1001) llama", "0, 1 (simulated)"],
        "4": ["a 5f0c21ab vit completed"],
        "5": ["ann", "late", "4 GPUs"],
    }.items():
        person.types(page)
        shown = " ".join(" ".join(person.looks()).split())
        for text in wanted:
            assert text in shown, (page, text, shown)


def test_a_host_that_is_down_says_why_and_since_when_and_hides_no_other():
    fleet = hosts()
    known = Known([host.name for host in fleet])
    known.show(Sight("a", 5.0, 0.1, fleet[0].snapshot()), None)
    known.show(Sight("a", 65.0, 0.1, error=HostUnreachable("no route", kind="network")), None)
    model = Model()
    model.look(known.hosts(), 80, 24)
    text = "\n".join(text_of(line) for line in screen(model, known.hosts(), 125.0))
    assert "✕ network" in text
    assert "no route" in text
    assert "  b     " in text  # it has not been asked yet
    model.take(Key("i"))
    text = "\n".join(text_of(line) for line in screen(model, known.hosts(), 125.0))
    assert "network: no route" in text
    assert "2 min ago" in text


def test_every_state_has_a_sign_of_its_own_so_that_colour_is_not_needed():
    assert len({sign for sign, _ in SIGNS.values()}) == len(State) == len(SIGNS)
    lines = Person(hosts()).lines()
    plain = Frame(colours=False).update(lines, 80)
    assert set(re.findall(r"\x1b\[([0-9;]*)m", plain)) <= {"0", "1", "2", "4", "7"}
    assert "\x1b[32m" in Frame(colours=True).update(lines, 80)


def test_only_lines_that_have_changed_are_written_again():
    frame, lines = Frame(colours=True), Person(hosts()).lines()
    assert frame.update(lines, 80).count("H") >= 24
    assert frame.update(lines, 80) == ""
    changed = [*lines[:3], (("new", ""),), *lines[4:]]
    assert frame.update(changed, 80) == "\x1b[?2026h\x1b[4;1Hnew\x1b[K\x1b[?2026l"
    frame.forget()
    assert "\x1b[24;1H" in frame.update(changed, 80)


def test_hosts_are_folded_where_not_all_fits_and_unfolded_by_keys_and_clicks():
    person = Person(hosts(gpus=30))
    assert len(person.model.listed.rows) == 3
    person.types("right")
    assert len(person.model.listed.rows) == 33
    person.types("down", "left")
    assert person.model.row.key == ("host", "a")
    assert len(person.model.listed.rows) == 3
    assert person.types("e") is None
    assert len(person.model.listed.rows) == 35
    person.types("c")
    person.model.take(Click("press", ABOVE + 1, 0))
    assert [row.key[0] for row in person.model.listed.rows] == ["host"] * 2 + ["device"] * 2 + [
        "host"
    ]


def test_rows_are_filtered_as_it_is_typed_and_stay_with_enter():
    person = Person(hosts())
    person.types("/", *"LLAMA")
    assert [row.key[:2] for row in person.model.listed.rows] == [("host", "a")] + [
        ("device", "a")
    ] * 2
    assert person.types("q") is None  # a character like any other
    person.types("backspace", "enter")
    assert len(person.model.listed.rows) == 3
    assert isinstance(person.types("q"), Quit)
    person.types("esc")
    assert len(person.model.listed.rows) > 3


@pytest.mark.parametrize("page", range(len(PAGES)))
def test_rows_can_be_sorted_by_every_column_and_reversed(page):
    person = Person(hosts(), 200, 50)
    person.types(str(page + 1))
    before = [row.key for row in person.model.listed.rows]
    for _ in PAGES[page].columns:
        person.types("s")
        assert person.model.sortings[page].column is not None
        forward = sorted(row.key for row in person.model.listed.rows)
        person.types("r")
        assert sorted(row.key for row in person.model.listed.rows) == forward == sorted(before)
    person.types("s")
    assert [row.key for row in person.model.listed.rows] == before


def test_the_same_row_stays_chosen_when_others_come_and_go():
    fleet = hosts()
    person = Person(fleet, 120, 40)
    person.types("3", "G")
    chosen = person.model.row.key
    fleet[0].let_go("00010001")
    person.looks()
    assert person.model.row.key == chosen
    assert "chosen" in {style for line in person.lines() for _, style in line}


def test_a_click_chooses_a_page_a_column_and_a_row():
    person = Person(hosts(), 120, 40)
    person.lines()
    first, _ = person.model.tabs[2]
    person.model.take(Click("press", 1, first))
    assert person.model.page == 2
    person.model.take(Click("press", 2, 0))
    assert person.model.sortings[2].column == 0
    person.model.take(Click("press", ABOVE + 1, 9))
    assert person.model.at == 1
    person.model.take(Click("wheel-up", 9, 9))
    assert person.model.at == 0


def test_nothing_is_ended_without_a_question_and_only_by_yes():
    person = Person(hosts())
    person.types("3", "x")
    assert "Release llama (00010001) of ann on a?" in person.looks()[-1]
    assert person.types("n") is None
    assert person.looks()[-1] == "nothing was ended"
    assert person.types("x", "enter") is None
    wish = person.types("x", "y")
    assert (type(wish), wish.target.id, wish.kill) == (End, "00010001", False)
    assert person.types("x", "k").kill
    person.types("4", "x")
    assert "Stop run 5f0c21ab (vit) on a?" in person.looks()[-1]
    assert person.types("k") is None
    assert person.types("x", "y").target.kind == "run"
    assert isinstance(person.types("l"), Follow)


def test_an_environment_is_released_and_one_of_somebody_else_is_not():
    fleet, told = hosts(), []
    acts = Acts(HostGroup(fleet), lambda text, style: told.append((text, style)))
    acts.end(Target("environment", "00010001", "llama", ("a",)), kill=False)
    until(lambda: len(told) == 2, "it is told")
    assert told[-1] == ("Released llama (00010001) on a: 2 devices", "good")
    acts.end(Target("environment", "00010001", "x", ("b",)), kill=False)
    until(lambda: len(told) == 4, "it is refused")
    assert told[-1][1] == "bad"
    assert "\x1b" not in told[-1][0]


def test_the_log_of_a_run_is_followed_and_scrolled_without_control_characters():
    text = b"".join(b"epoch %d\x1b[2J\n" % number for number in range(100))
    host = FakeHost("a", 1, script=lambda spec: Played(text, 0))
    run = host.submit(RunSpec("5f0c21ab", ("x",), Requirements(1), "", "", Moment(0, 10**18)))
    person = Person([host])
    target = Target("run", run.id, run.id, ("a",))
    person.model.log, person.model.mode = Log(target, lambda: None), "log"
    person.model.log.follow(host)
    until(lambda: person.model.log.state == "completed", "the log ends")
    shown = person.looks()
    assert shown[2].startswith("run 5f0c21ab on a: completed")
    assert shown[-2] == "epoch 99"
    person.types("pageup")
    assert person.looks()[-2] == "epoch 79"
    person.types("q")
    assert person.model.mode == "list"


@pytest.mark.parametrize(
    ("pieces", "events"),
    [
        ([b"q\r\t\x7f"], [Key("q"), Key("enter"), Key("tab"), Key("backspace")]),
        ([b"\x1b[A\x1bOB\x1b[5~"], [Key("up"), Key("down"), Key("pageup")]),
        ([b"\x1b", b"[", b"6", b"~"], [Key("pagedown")]),
        ([b"\xe5\x90", b"\x8d"], [Key("名")]),
        ([b"\x1b[<0;20;2M\x1b[<0;20;2m"], [Click("press", 1, 19)]),
        ([b"\x1b[<65;1;1M"], [Click("wheel-down", 0, 0)]),
        ([b"\x1b\x1b[A"], [Key("esc"), Key("up")]),
        ([b"\x1b[1;5Q\x1b[999~\x00\xff"], []),
    ],
)
def test_keys_and_clicks_are_read_from_what_a_terminal_sends(pieces, events):
    keys = Keys()
    assert [event for piece in pieces for event in keys.take(piece)] == events
    assert not keys.is_waiting


def test_the_beginning_of_a_sequence_is_the_key_esc_if_nothing_more_comes():
    keys = Keys()
    assert keys.take(b"\x1b") == []
    assert keys.is_waiting
    assert keys.time_out() == [Key("esc")]
    assert keys.time_out() == []


def test_the_pictures_of_the_docs_are_what_the_screen_shows(monkeypatch):
    spec = importlib.util.spec_from_file_location("screens", ROOT / "scripts/screens.py")
    monkeypatch.setattr(sys, "path", [*sys.path])
    screens = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(screens)
    for name, text in screens.screens().items():
        kept = (ROOT / "docs/pictures" / name).read_text()
        # The clock is that of the place where the picture was made.
        same = [re.sub(r"\d\d:\d\d:\d\d", "TIME", each) for each in (kept, text)]
        assert same[0] == same[1], f"run scripts/screens.py: {name}"
