"""Copies of runs of other machines: whatever is in them, they are no runs of this one."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from genvx.core.projects.manifest import DIRECTORY, FILE, LINK, Entry, Manifest
from genvx.core.projects.plan import Known
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.pulled import Pulled, Way
from genvx.core.runs.run import End, Moment, RunSpec
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runselect import Filter
from genvx.core.runs.runstate import Completed, Running, Waiting
from genvx.core.value import replace
from genvx.core.wire.treeoperations import PullRun
from genvx.errors import InvalidInput, ProtocolError, StateError
from genvx.local import facts, processes
from genvx.local.runs.bringing import Copy
from genvx.local.runs.made import made
from tests.local.runs.test_runs import ends_as, shell

THEN = Moment(10**9, 10**9)
WAY = Way(hosts="far")
FAR = Pulled("far", 2 * 10**18, WAY)
RECORD = {"brought", "log", "marks.json", "pulled.json", "spec.json", "state.json"}
WORK = Entry(b"work", DIRECTORY, 0o700, 1)


def far(state=None, **more):
    """A run of another machine; by its record, that is this one, and we are its command."""
    me = os.getpid()
    running = Running(THEN, ("GPU-1",), me, processes.starttime(me) or 0)
    spec = RunSpec("0f0f0f0f", ("x",), Requirements(1), facts.machine_id(), "h", THEN, **more)
    return RunInfo(spec, state or running)


def copied(host, run=None, pulled=FAR, entries=(), known=None):
    """Have a copy of a run; return its path."""
    with Copy(host.environ, run or far(), pulled) as copy:
        copy.begin()
        with copy.landing() as landing:
            gone = [] if known is None else copy.unwanted(known)
            landing.take(Manifest(entries), lambda wanted: [], known, lambda known: gone)
        copy.finish(gone)
        return Path(copy.path)


def test_a_copy_is_found_and_shown_and_everything_else_is_refused(host, catalog):
    path = copied(host)
    assert path.stat().st_mode & 0o777 == 0o700
    assert catalog.newest(Filter(), 9) == []
    (found,) = catalog.newest(Filter(states=("running",)), 9, copies=True)
    assert (found.pulled, found.note, found.state) == (FAR, "", far().state)
    assert catalog.candidates("0f0f0f0f") == []
    before = (path / "state.json").read_bytes()
    for act in (
        lambda: catalog.stop("0f0f0f0f"),
        lambda: host.enter("0f0f"),
        lambda: next(iter(host.view(PullRun("0f0f"), lambda seconds: True))),
    ):
        with pytest.raises(InvalidInput, match=r"only a copy of .* of far; .* -H far "):
            act()
    assert set(os.listdir(path)) == RECORD
    assert (path / "state.json").read_bytes() == before
    assert catalog.delete("0f0f0f0f").pulled == FAR
    assert catalog.purge("0f0f0f0f").deleted


@pytest.mark.parametrize(
    "entry",
    [
        Entry(b"spec.json", FILE, 0o600, 1),
        Entry(b"pulled.json", FILE, 0o600, 1),
        Entry(b"enter", FILE, 0o700, 1),
        Entry(b"log", DIRECTORY, 0o700, 1),
        Entry(b"log", LINK, 0o777, 1, target=b"spec.json"),
        Entry(b"work", LINK, 0o777, 1, target=b"."),
        Entry(b"works", DIRECTORY, 0o700, 1),
    ],
    ids=lambda entry: f"{entry.name.decode()}-{entry.kind}",
)
def test_nothing_that_a_host_sends_becomes_a_part_of_the_record(host, entry):
    with pytest.raises(ProtocolError, match="the files are refused"):
        copied(host, entries=[entry])
    path = Path(host.environ["GENVX_RUNS_DIR"], "0f0f0f0f")
    assert json.loads((path / "spec.json").read_bytes())["argv"] == ["x"]
    place = path / entry.name.decode()
    assert place.is_file() if place.name in RECORD else not os.path.lexists(place)
    assert not place.is_symlink()


def test_a_run_of_this_machine_is_not_written_over(host, start, catalog):
    run = start(shell("true"))
    ends_as(catalog, run, "completed")
    path = Path(host.environ["GENVX_RUNS_DIR"], run.id)
    before = {name: os.stat(path / name).st_mtime_ns for name in os.listdir(path)}
    with pytest.raises(InvalidInput, match=f"is on this machine already, in {path}"):
        copied(host, replace(run, spec=replace(run.spec, argv=("evil",))))
    assert {name: os.stat(path / name).st_mtime_ns for name in os.listdir(path)} == before


def test_a_link_in_the_place_of_a_copy_or_of_its_files_is_not_followed(host, short_tmp):
    outside = short_tmp / "outside"
    outside.mkdir()
    path = copied(host, entries=[WORK])
    (path / "work").rmdir()
    (path / "work").symlink_to(outside)
    with pytest.raises(StateError, match="in the way"):
        copied(host, entries=[WORK, Entry(b"work/a", FILE, 0o600, 1)])
    shutil.rmtree(path)
    path.symlink_to(outside)
    with pytest.raises(StateError):
        copied(host)
    assert os.listdir(outside) == []


def test_a_copy_whose_record_cannot_be_read_is_no_run_of_this_machine(host, catalog):
    path = copied(host)
    for junk in (b"", b"{}", b"[[" * 9000, b"\xff"):
        (path / "pulled.json").write_bytes(junk)
        assert catalog.newest(Filter(), 9, copies=True) == []
        assert catalog.newest(Filter(), 9) == []
    # To pull it again is enough.
    copied(host)
    assert len(catalog.newest(Filter(), 9, copies=True)) == 1


def test_a_copy_is_of_one_host_but_for_a_run_that_has_moved(host, catalog):
    copied(host, far(Waiting(THEN, 1)))
    other = replace(FAR, host="other")
    copied(host, pulled=other)
    assert catalog.find("0f0f0f0f").pulled == other
    with pytest.raises(InvalidInput, match="is a copy from other, and this one is from far"):
        copied(host)


def test_what_has_not_all_come_says_so_and_what_people_called_it_stays(host, catalog):
    with Copy(host.environ, far(), FAR) as copy:
        copy.begin()
    assert catalog.find("0f0f0f0f").note == "not all of it has come yet; pull it again"
    assert catalog.mark("0f0f0f0f", "best", ("t",)).label == "best"
    over = Completed(THEN, End(THEN, THEN, code=0))
    copied(host, replace(far(over), label="theirs"), replace(FAR, label="theirs"))
    found = catalog.find("best")
    assert (found.note, found.state, found.label, found.tags) == ("", over, "best", ("t",))


def test_only_what_was_copied_is_deleted_and_nothing_that_the_run_may_have(host):
    names = [b"work/a", b"work/b", b"work/d/c", b"work/shut/e"]
    entries = [WORK, *(Entry(name, DIRECTORY, 0o700, 1) for name in (b"work/d", b"work/shut"))]
    path = copied(host, entries=[*entries, *(Entry(name, FILE, 0o600, 1) for name in names)])
    (path / "work" / "mine").write_text("x")
    known = Known({b"work/a": False, b"work/shut": True}, (b"work/shut",))
    copied(host, entries=[WORK], known=known)
    assert sorted(os.listdir(path / "work")) == ["a", "mine", "shut"]
    assert os.listdir(path / "work" / "shut") == ["e"]


def test_names_that_lead_out_are_deleted_from_no_copy(host, short_tmp):
    path = copied(host, entries=[WORK, Entry(b"work/a", FILE, 0o600, 1)])
    (path.parent / "precious").write_text("x")
    names = ["work/a", "../precious", "work/../../precious", "spec.json"]
    for listed in (names, ["work/a", "spec.json"]):
        (path / "brought").write_text(json.dumps({"names": listed}))
        copied(host, entries=[WORK], known=Known({}))
        assert (path / "spec.json").exists()
        assert (path.parent / "precious").exists()


def test_files_can_be_copied_out_of_a_copy(host):
    copied(host, entries=[WORK, Entry(b"work/a", FILE, 0o600, 1)])
    files = made(host, PullRun("0f0f0f0f"), lambda: None).files
    assert [entry.name for entry in files.manifest.entries] == [
        b"log",
        b"work",
        b"work/a",
    ]


def test_marks_of_a_run_come_with_it(host, catalog):
    path = copied(host, replace(far(), label="a", tags=("t",)))
    assert catalog.find("a").tags == ("t",)
    assert json.loads((path / "marks.json").read_bytes()) == {"label": "a", "tags": ["t"]}
