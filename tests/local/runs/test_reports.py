"""What the command of a run reports, and what the command of a trial may import for that."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from genvx.core.runs.runinfo import LogPiece
from genvx.core.runs.trial import Trial
from genvx.core.wire.runoperations import WatchRun
from genvx.errors import InvalidInput
from genvx.local.runs.watching import watch
from tests.local.runs.test_runs import asked, ends_as, log_of, shell

PARAMETERS = {"lr": 0.25, "act": {"_name": "relu"}}


def trial(*argv, nni=False, **more):
    return asked(*argv, trial=Trial("abcd1234", 7, PARAMETERS, nni), **more)


def reports_of(host, run, offset=0):
    news = watch(host, WatchRun(run.id, offset=offset, follow=False, reports=True), lambda s: False)
    return b"".join(each.data for each in news if isinstance(each, LogPiece))


def test_the_last_line_that_is_a_report_is_shown_and_all_are_read_from_an_offset(
    host, start, catalog
):
    first = b'{"step": 0, "value": 0.5}\n'
    more = b'no report\n{"value": 0.93, "loss": 0.1}\n{"value": "x"}\n{"value": 1'
    line = f"""printf '%s' '{(first + more).decode()}' >> "$GENVX_REPORT" """
    ended = ends_as(catalog, start(shell(line)), "completed")
    assert json.loads(ended.reported) == {"value": 0.93, "loss": 0.1}
    assert reports_of(host, ended) == first + more
    assert reports_of(host, ended, len(first)) == more


@pytest.mark.parametrize("put", ["mkfifo", "ln -s /etc/passwd", "mkdir"])
def test_what_is_no_file_in_the_place_of_reports_harms_nobody(host, start, catalog, put):
    ended = ends_as(
        catalog, start(shell(f'rm -f "$GENVX_REPORT"; {put} "$GENVX_REPORT"')), "completed"
    )
    assert ended.reported == ""
    assert reports_of(host, ended) == b""


_OWN = """
import os, genvx_trial
assert genvx_trial.parameters()["lr"] == 0.25
genvx_trial.report(0.5, step=1, note="half")
genvx_trial.report(float("nan"), step=2)
genvx_trial.report(0.75)
print(os.environ["GENVX_SWEEP"], os.environ["GENVX_TRIAL"], os.environ["PYTHONPATH"])
"""


def test_a_trial_has_its_parameters_and_a_module_to_report_with(host, start, catalog, short_tmp):
    here = str(short_tmp / "here")
    run = start(trial(sys.executable, "-c", _OWN, variables={"PYTHONPATH": here}))
    ended = ends_as(catalog, run, "completed")
    assert reports_of(host, ended).splitlines() == [
        b'{"note": "half", "value": 0.5, "step": 1, "final": false}',
        b'{"value": NaN, "step": 2, "final": false}',
        b'{"value": 0.75, "final": true}',
    ]
    assert log_of(host, run).split() == ["abcd1234", "7", f"{run.directory}/python:{here}"]
    assert sorted(os.listdir(f"{run.directory}/python")) == ["genvx_trial.py"]


# As NNI's documentation has it.
_NNI = """
import nni
from nni.trial import report_final_result
params = {"lr": 0.1}
params.update(nni.get_next_parameter())
for epoch in range(2):
    nni.report_intermediate_result(params["lr"] * epoch)
report_final_result({"default": params["lr"], "loss": 3})
print(nni.get_trial_id(), nni.get_sequence_id(), nni.get_experiment_id(), params["act"]["_name"])
"""


def test_a_trial_that_was_written_for_nni_runs_where_nni_is_not(host, start, catalog):
    run = start(trial(sys.executable, "-c", _NNI, nni=True))
    ended = ends_as(catalog, run, "completed")
    assert log_of(host, run).split() == [run.id, "7", "abcd1234", "relu"]
    values = [json.loads(line) for line in reports_of(host, ended).splitlines()]
    assert [(v["value"], v.get("step"), v["final"]) for v in values] == [
        (0.0, 0, False),
        (0.25, 1, False),
        (0.25, None, True),
    ]
    assert values[-1]["loss"] == 3


def test_where_nni_is_installed_an_unchanged_trial_still_reports_to_genvx(
    host, start, catalog, short_tmp
):
    package = Path(short_tmp, "site", "nni")
    package.mkdir(parents=True)
    # As NNI is made; without its manager its own functions know nothing, and tell nobody.
    (package / "__init__.py").write_text("from .trial import *\nfrom nni.inner import WORD\n")
    own = ("get_next_parameter", "report_intermediate_result", "report_final_result")
    (package / "trial.py").write_text("".join(f"def {each}(*a): return {{}}\n" for each in own))
    (package / "inner.py").write_text("WORD = 'the real one'\n")
    code = _NNI + "import nni.inner; print(nni.WORD, nni.__file__)"
    place = str(package.parent)
    run = start(trial(sys.executable, "-c", code, nni=True, variables={"PYTHONPATH": place}))
    ended = ends_as(catalog, run, "completed")
    assert f"the real one {package}/__init__.py" in log_of(host, run)
    assert [json.loads(line)["value"] for line in reports_of(host, ended).splitlines()] == [
        *(0.0, 0.25, 0.25)
    ]


def test_parameters_that_are_no_json_or_too_long_are_refused():
    with pytest.raises(InvalidInput, match="no JSON"):
        Trial("a", 0, {"x": object()})
    with pytest.raises(InvalidInput, match="at most"):
        Trial("a", 0, {"x": "y" * 100_000})
