"""Plots of a sweep: a page, and characters."""

from __future__ import annotations

import os
from html.parser import HTMLParser

import pytest

from genvx.core.requests.requirements import Requirements
from genvx.core.sweeps.goal import Goal
from genvx.core.sweeps.shortform import dimension_of
from genvx.core.sweeps.space import SearchSpace
from genvx.sweeps import store
from genvx.sweeps.spec import SweepSpec
from tests.conftest import run_genvx

_HOSTILE = "</text><script>alert(1)</script>\x1b[31m"


class Elements(HTMLParser):
    """The elements of a page, with their attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag, kind):
        return [each for name, each in self.found if name == tag and each.get("class") == kind]


@pytest.fixture
def swept(monkeypatch, tmp_path):
    """A sweep whose best of 40 trials is number 0; what it has of its host is hostile."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    space = SearchSpace((dimension_of("lr=log:1e-5..1e-1"),))
    spec = SweepSpec("abcd1234", ("x",), space, Requirements(), goal=Goal.MINIMIZE, trials=40)
    journal = store.create(store.sweeps_root(os.environ), spec).journal()
    for number in range(40):
        given = {"lr": 10.0 ** (-5 + number / 10), _HOSTILE: _HOSTILE if number % 2 else "plain"}
        about = {"trial": number, "run": f"{number:08x}", "host": _HOSTILE, "parameters": given}
        journal.write({"is": "asked", **about})
        how = "pruned" if number == 39 else "completed"
        journal.write({"is": "ended", "trial": number, "how": how, "value": float(number)})
    journal.close()
    return tmp_path


def test_a_page_has_what_a_host_has_written_as_text_only_and_runs_nothing(swept):
    path = swept / "page.html"
    assert run_genvx("sweep", "show", "--html", str(path)).returncode == 0
    page = Elements(path.read_text())
    assert not {"script", "img", "link", "iframe"} & {tag for tag, _ in page.found}
    assert "</text><script>alert(1)</script>\\x1b[31m=plain" in page.text
    assert "\x1b" not in page.text
    assert "prefers-color-scheme: dark" in page.text


def test_the_best_tenth_stands_out_also_where_the_least_is_best(swept):
    path = swept / "page.html"
    run_genvx("sweep", "show", "--html", str(path))
    page = Elements(path.read_text())
    assert len(page.of("polyline", "trial top")) == 4
    # The value is the last axis, and the least is at the bottom of it.
    ends = [float(each["points"].rpartition(",")[2]) for each in page.of("polyline", "trial top")]
    others = [float(each["points"].rpartition(",")[2]) for each in page.of("polyline", "trial")]
    assert min(ends) > max(others)
    assert len(page.of("circle", "dot")) == 39
    assert len(page.of("path", "gone")) == 1
    first, second = (float(each["width"]) for each in page.of("rect", "bar"))
    assert first > 10 * second


def test_characters_show_the_importance_too_and_no_control_characters(swept):
    shown = run_genvx("sweep", "show", "--plot").stdout
    assert "lr |####" in shown
    assert "\x1b" not in shown
