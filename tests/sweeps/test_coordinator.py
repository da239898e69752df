"""Sweeps on fake hosts: which trials run where, what survives, and how a sweep ends."""

from __future__ import annotations

import json
import math
import random
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.runstate import name_of
from genvx.core.sweeps.goal import Goal
from genvx.core.sweeps.space import Choice, SearchSpace, Uniform
from genvx.core.wire.runoperations import ListRuns, WithdrawRun
from genvx.errors import FleetError, HostUnreachable, NoCapacity, StateError, Unsatisfiable
from genvx.fleet.fleet import Fleet
from genvx.sweeps import events, lane, store
from genvx.sweeps.coordinator import Coordinator
from genvx.sweeps.dispatch import Dispatch
from genvx.sweeps.ledger import Ledger
from genvx.sweeps.observer import Silence
from genvx.sweeps.spec import SweepSpec
from genvx.sweeps.trial import Stage, Trial
from genvx.sweeps.trialrun import run_of
from genvx.testing import FakeHost, Played
from tests.helpers import until

SPACE = SearchSpace((Uniform("lr", 0.0, 1.0),))


class Sampler:
    """A tuner that remembers what it is told."""

    def __init__(self, space=SPACE, prunes=lambda number, step, value: False):
        self._space = space
        self._prunes = prunes
        self.calls = []

    def ask(self, number):
        self.calls.append(("ask", number))
        return self._space.sample(random.Random(number))

    def adopt(self, number, parameters):
        self.calls.append(("adopt", number))

    def reported(self, number, step, value):
        self.calls.append(("reported", number, step, value))
        return self._prunes(number, step, value)

    def tell(self, number, outcome):
        self.calls.append(("tell", number, type(outcome).__name__))


class Lines(Silence):
    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def scored(spec):
    """A command that ends at once, and reports its parameter."""
    value = spec.trial.parameters["lr"]
    return Played(reports=json.dumps({"value": value}).encode() + b"\n")


GOES_ON = Played(code=None)


@pytest.fixture
def make(tmp_path):
    made = []

    def sweep(hosts, tuner=None, observer=None, directory=None, **more):
        if directory is None:
            wanted = {"command": ("train", "{lr}"), "space": SPACE, "trials": 6, **more}
            wanted.setdefault("requirements", Requirements(1))
            spec = SweepSpec(id=f"{len(made):08x}", **wanted)
            directory = store.create(str(tmp_path), spec)
        directory.lock()
        fleet = Fleet(hosts)
        coordinator = Coordinator(directory, fleet, tuner or Sampler(), observer)
        made.append((coordinator, directory))
        return coordinator, directory

    yield sweep
    for coordinator, directory in made:
        coordinator.close()
        directory.unlock()


def left(coordinator, directory):
    """As if the process had been killed: nothing more is done, nothing is said."""
    coordinator.close()
    directory.unlock()


def in_background(coordinator):
    found = []

    def run():
        found.append(coordinator.run())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, found


def runs_of(*hosts):
    return [run for host in hosts for run in host.answer(ListRuns())]


def running_on(host):
    return [run.id for run in runs_of(host) if name_of(run.state) == "running"]


def test_each_trial_runs_once_with_its_parameters_and_the_best_is_found(make):
    hosts = [FakeHost("a", 2, script=scored), FakeHost("b", 1, script=scored)]
    tuner = Sampler()
    coordinator, directory = make(hosts, tuner)
    assert coordinator.run() == "trials"
    ledger = coordinator.ledger
    assert [trial.stage for trial in ledger.trials.values()] == [Stage.COMPLETED] * 6
    values = [trial.parameters["lr"] for trial in ledger.trials.values()]
    assert [trial.value for trial in ledger.trials.values()] == values
    assert ledger.best.value == max(values)
    found = runs_of(*hosts)
    assert sorted(run.spec.trial.number for run in found) == list(range(6))
    assert {f"sweep={directory.id}" in run.tags for run in found} == {True}
    assert found[0].spec.argv == ("train", str(found[0].spec.trial.parameters["lr"]))
    again = Ledger.of(Goal.MAXIMIZE, directory.events())
    assert again.ended == "trials"
    assert [t.number for t in again.ranked()] == [t.number for t in ledger.ranked()]


def test_no_more_trials_are_out_than_the_concurrency(make):
    host = FakeHost("a", 8, script=lambda spec: GOES_ON)
    coordinator, _ = make([host], concurrency=3)
    thread, _ = in_background(coordinator)
    until(lambda: len(runs_of(host)) == 3)
    for _ in range(3):
        before = len(runs_of(host))
        host.runs.end(running_on(host)[-1])
        until(lambda before=before: len(runs_of(host)) == before + 1)
        assert len(running_on(host)) == 3
    coordinator.stop()
    thread.join(10)
    assert coordinator.ledger.count(Stage.CANCELLED) == 3


def test_a_sweep_that_was_left_is_taken_up_and_no_trial_runs_twice(make):
    host = FakeHost("a", 2, script=lambda spec: GOES_ON)
    first, directory = make([host], trials=3)
    thread, _ = in_background(first)
    until(lambda: [t.stage for t in first.out] == [Stage.RUNNING] * 2)
    first.interrupt()
    thread.join(10)
    left(first, directory)
    running = [run for run in runs_of(host) if run.spec.trial.number == 0]
    host.runs.report(running[0].id, b'{"value": 0.5}')
    host.runs.end(running[0].id)  # it ends while nobody runs the sweep

    tuner = Sampler()
    second, _ = make([host], tuner, directory=directory)
    thread, found = in_background(second)
    until(lambda: second.ledger.trials[0].is_over)
    for _ in range(2):
        until(lambda: running_on(host))
        host.runs.end(running_on(host)[0])
    thread.join(10)
    assert found == ["trials"]
    assert len(runs_of(host)) == 3
    assert second.ledger.trials[0].value == 0.5
    asked = [call for call in tuner.calls if call[0] in ("adopt", "ask")]
    assert asked == [("adopt", 0), ("adopt", 1), ("ask", 2)]


def test_a_look_that_becomes_due_while_the_next_jobs_are_chosen_is_not_forgotten(make):
    coordinator, _ = make([FakeHost("a", 1)])
    (lane,) = coordinator.lanes.values()
    chosen = time.monotonic()
    lane.again = chosen + 1e-6
    until(lambda: time.monotonic() > lane.again)
    assert Dispatch(coordinator.spec, coordinator.ledger, coordinator.lanes, Sampler()).until_due(
        chosen, math.inf
    ) == pytest.approx(0.0)


def test_a_sweep_goes_on_from_a_journal_that_is_cut_or_damaged_anywhere(make):
    host = FakeHost("a", 2, script=scored)
    first, directory = make([host], trials=3)
    assert first.run() == "trials"
    left(first, directory)
    journal = Path(directory.path, "journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    asked = max(n for n, line in enumerate(lines) if b'"asked"' in line)
    for number, line in enumerate(lines):
        before, after = b"".join(lines[:number]), b"".join(lines[number + 1 :])
        torn = line[: len(line) // 2]
        for content in (before, before + torn, before + torn + b"\0" * 9, before + b"{}\n" + after):
            journal.write_bytes(content)
            before_it = len(runs_of(host))
            again, _ = make([host], directory=directory)
            assert again.run() in ("trials", "space")
            left(again, directory)
            assert {each.stage for each in again.ledger.trials.values()} == {Stage.COMPLETED}
            assert sorted(again.ledger.trials) == [0, 1, 2]
            # What was on the disk before a host heard of it is not asked for again.
            assert number <= asked or len(runs_of(host)) == before_it


def test_a_trial_that_reports_without_end_does_not_fill_the_disk(make, monkeypatch):
    monkeypatch.setattr("genvx.sweeps.trial._MOST_REPORTS", 5)
    monkeypatch.setattr("genvx.sweeps.inbox._MOST_LINES", 3)
    reports = b"".join(b'{"step": %d, "value": %d}\n' % (n, n) for n in range(500))
    host = FakeHost("a", 1, script=lambda spec: Played(reports=reports))
    coordinator, directory = make([host], trials=1)
    assert coordinator.run() == "trials"
    assert coordinator.ledger.best.value == 499
    assert sum(event["is"] == "reported" for event in directory.events()) == 5
    assert Ledger.of(Goal.MAXIMIZE, directory.events()).best.value == 499


def test_where_others_have_all_a_trial_stands_in_line_and_says_why(make):
    host = FakeHost("a", 1, script=scored)
    others = host.acquire(Ask(Requirements(1)))
    observer = Lines()
    coordinator, _ = make([host], observer=observer, trials=3)
    thread, found = in_background(coordinator)
    until(lambda: observer.lines)
    assert observer.lines == [f"trial 0 waits in line on a: {coordinator.out[0].reason}"]
    others.release()
    thread.join(10)
    assert found == ["trials"]
    assert coordinator.ledger.count(Stage.COMPLETED) == 3


def test_a_withdrawn_trial_starts_elsewhere_also_if_its_end_is_heard_before_the_answer(
    make, monkeypatch
):
    for name in ("_LOOK", "_FULL"):
        monkeypatch.setattr(lane, name, 0.05)
    over = threading.Event()

    class Slow(FakeHost):
        def answer(self, operation):
            found = super().answer(operation)
            if isinstance(operation, WithdrawRun):
                over.wait(10)
            return found

    slow, other = Slow("a", 1, script=scored), FakeHost("b", 1, script=scored)
    holds = [host.acquire(Ask(Requirements(1))) for host in (slow, other)]
    observer = Lines()
    coordinator, _ = make([slow, other], observer=observer, trials=1)
    thread, found = in_background(coordinator)
    until(lambda: observer.lines)
    holds[1].release()
    until(lambda: runs_of(other), "it starts where there is room")
    over.set()
    thread.join(10)
    holds[0].release()
    assert found == ["trials"]
    assert coordinator.ledger.count(Stage.COMPLETED) == 1


def test_a_trial_that_was_being_withdrawn_when_the_process_was_killed_starts_anew(make):
    host = FakeHost("a", 1, script=scored)
    with host.acquire(Ask(Requirements(1))):
        coordinator, directory = make([host], trials=1)
        asked = events.asked(Trial(0, {"lr": 0.5}), "a")
        with closing(directory.journal()) as journal:
            for event in (asked, *({"is": each, "trial": 0} for each in ("accepted", "withdrawn"))):
                journal.write(event)
        spec = run_of(directory.spec(), Ledger.of(Goal.MAXIMIZE, [asked]).trials[0])
        host.submit(spec, patience=1000.0)
        host.answer(WithdrawRun(spec.id))
        left(coordinator, directory)
    coordinator, _ = make([host], directory=directory)
    assert coordinator.run() == "trials"
    assert coordinator.ledger.count(Stage.COMPLETED) == 1
    assert len(runs_of(host)) == 2


def test_a_trial_of_which_nobody_knows_whether_it_was_accepted_is_found_and_not_started_again(make):
    class Cut(FakeHost):
        cuts = 1

        def submit(self, spec, *, patience=None, tags=()):
            found = super().submit(spec, patience=patience, tags=tags)
            if self.cuts:
                self.cuts -= 1
                raise HostUnreachable("the connection was cut")
            return found

    host = Cut("a", 1, script=scored)
    coordinator, _ = make([host], trials=2)
    assert coordinator.run() == "trials"
    assert len(runs_of(host)) == 2
    assert coordinator.ledger.count(Stage.COMPLETED) == 2


def test_a_host_that_is_down_does_not_keep_the_others_and_joins_when_it_is_back(make):
    good = FakeHost("good", 1, script=lambda spec: GOES_ON)
    away = FakeHost("away", 1, script=scored)
    away.error = HostUnreachable("no answer", kind="refused")
    observer = Lines()
    coordinator, _ = make([good, away], observer=observer, trials=4)
    thread, _ = in_background(coordinator)
    until(lambda: runs_of(good))
    until(lambda: observer.lines)
    assert observer.lines[0].startswith("away: refused: no answer")
    away.error = None
    until(lambda: runs_of(away))
    assert "away answers again" in observer.lines
    coordinator.stop()
    thread.join(10)


def test_more_gpus_than_any_host_has_is_an_error_that_names_the_most(make):
    hosts = [FakeHost("a", 1), FakeHost("b", 2)]
    coordinator, _ = make(hosts, requirements=Requirements(3))
    with pytest.raises(Unsatisfiable, match=r"none has more than 2 \(b\)"):
        coordinator.run()
    assert not runs_of(*hosts)


def test_hosts_of_which_none_answers_are_an_error(make):
    hosts = [FakeHost("a", 1), FakeHost("b", 1)]
    for host in hosts:
        host.error = HostUnreachable("no answer", kind="refused")
    observer = Lines()
    coordinator, _ = make(hosts, observer=observer)
    with pytest.raises(FleetError) as caught:
        coordinator.run()
    assert caught.value.reasons == {"a": "refused: no answer", "b": "refused: no answer"}
    assert not observer.lines  # none says that others go on


def test_a_sweep_that_no_host_which_answers_can_run_is_an_error(make):
    small, away = FakeHost("small", 1), FakeHost("away", 2)
    away.error = HostUnreachable("no answer", kind="refused")
    observer = Lines()
    coordinator, _ = make([small, away], observer=observer, requirements=Requirements(2))
    with pytest.raises(NoCapacity) as caught:
        coordinator.run()
    assert caught.value.reasons == {"small": "has 1 such GPU", "away": "refused: no answer"}
    assert not any("asked again" in line for line in observer.lines)


def test_a_trial_that_its_tuner_prunes_is_ended(make):
    host = FakeHost("a", 1, script=lambda spec: GOES_ON)
    tuner = Sampler(prunes=lambda number, step, value: value < 0.5)
    coordinator, _ = make([host], tuner, trials=1)
    thread, found = in_background(coordinator)
    until(lambda: runs_of(host))
    run = runs_of(host)[0].id
    host.runs.report(run, b'{"step": 0, "value": 0.7}')
    host.runs.report(run, b"no report")
    host.runs.report(run, b'{"step": 1, "value": 0.1}')
    thread.join(10)
    assert found == ["trials"]
    assert coordinator.ledger.trials[0].stage is Stage.PRUNED
    assert ("tell", 0, "Pruned") in tuner.calls
    assert coordinator.ledger.best is None


def test_a_lost_trial_starts_again_as_often_as_was_asked(make):
    host = FakeHost("a", 1, script=lambda spec: GOES_ON)
    coordinator, _ = make([host], trials=1, retries=1)
    thread, _ = in_background(coordinator)
    until(lambda: runs_of(host))
    first = runs_of(host)[0].id
    host.runs.lose(first)
    until(lambda: len(runs_of(host)) == 2)
    host.runs.lose(next(run.id for run in runs_of(host) if run.id != first))
    thread.join(10)
    trial = coordinator.ledger.trials[0]
    assert trial.stage is Stage.FAILED
    assert "lost" in trial.why


def test_a_sweep_ends_with_the_first_value_that_is_good_enough(make):
    host = FakeHost("a", 2, script=lambda spec: GOES_ON)
    coordinator, _ = make([host], trials=50, stop_when="value > 0.9")
    thread, found = in_background(coordinator)
    until(lambda: len(runs_of(host)) >= 2)
    host.runs.report(runs_of(host)[-1].id, b'{"value": 0.95}')
    thread.join(10)
    assert found == ["value"]
    assert len(coordinator.ledger.trials) < 50
    best = coordinator.ledger.best  # it was ended on the way, and is what was looked for
    assert best is not None
    assert best.value == 0.95


def test_a_value_that_cannot_be_put_into_the_command_fails_its_trial_only(make):
    host = FakeHost("a", 1, script=lambda spec: Played())
    space = SearchSpace((Choice("word", ("it's", "plain")),))
    command = ("sh", "-c", 'echo "{word}"')
    tuner = Sampler(space)
    tuner.ask = lambda number: {"word": space.dimensions[0].values[number % 2]}
    coordinator, _ = make([host], tuner, command=command, space=space, trials=2)
    assert coordinator.run() == "trials"
    failed, fine = coordinator.ledger.trials.values()
    assert (failed.stage, fine.stage) == (Stage.FAILED, Stage.COMPLETED)
    assert "has to be quoted" in failed.why


def test_only_a_sweep_of_which_no_host_took_a_trial_is_discarded(make):
    _, directory = make([FakeHost("a", 1)])
    refused = {"is": "returned", "trial": 0, "why": "command not found", "lost": False}
    with closing(directory.journal()) as journal:
        journal.write(events.asked(Trial(0, {"lr": 0.5}), "a"))
        directory.discard_unbegun()
        assert directory.spec()  # the host may have it
        journal.write(refused)
    directory.discard_unbegun()
    with pytest.raises(StateError):
        directory.spec()


def test_a_sweep_that_is_damaged_hides_no_other(make, tmp_path):
    _, fine = make([FakeHost("a", 1)], name="fine")
    _, damaged = make([FakeHost("a", 1)])
    spec = next(each for each in Path(damaged.path).iterdir() if "json" in each.name)
    spec.write_text("{")
    assert store.find(str(tmp_path), "fine").id == fine.id
    with pytest.raises(StateError, match=f"cannot read sweep {damaged.id}"):
        store.find(str(tmp_path), damaged.id).spec()


def test_only_one_process_runs_a_sweep(make):
    _, directory = make([FakeHost("a", 1)])
    with pytest.raises(StateError, match="is run by another process"):
        store.SweepDirectory(directory.path).lock()


def test_the_end_of_a_journal_that_was_torn_does_not_count_and_does_not_spoil_the_next_line(make):
    host = FakeHost("a", 1, script=scored)
    coordinator, directory = make([host], trials=1)
    coordinator.run()
    left(coordinator, directory)
    with open(f"{directory.path}/journal", "ab") as file:
        file.write(b'{"is": "asked", "tri')
    journal = directory.journal()
    before = journal.read()
    journal.write({"is": "sweep resumed"})
    assert journal.read() == [*before, {"is": "sweep resumed"}]
