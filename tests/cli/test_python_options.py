"""Where the Python of a run comes from: what is typed, and what .genvx.toml says."""

from __future__ import annotations

import pytest

from genvx.cli.runs.python import PythonOptions


@pytest.mark.parametrize(
    ("text", "typed", "project", "found"),
    [
        ("python = 'conda:a'", {}, False, {"python": "conda:a"}),
        ("python = 'conda:a'", {"python": "none"}, True, {"python": "none"}),
        ("python = 'auto'\nwheels = 'w'", {}, False, {}),
        ("extra = ['x', 'y']", {}, True, {"extras": ["x", "y"]}),
        ("extra = 'x'\nsetup = 's'", {"python": "none"}, True, {"python": "none", "setup": "s"}),
        ("setup = 's'", {"setup": "t", "extras": ("z",)}, True, {"setup": "t", "extras": ("z",)}),
    ],
)
def test_what_is_typed_comes_first_and_a_run_without_a_project_needs_nothing(
    tmp_path, text, typed, project, found
):
    (tmp_path / ".genvx.toml").write_text(text)
    assert PythonOptions(**typed).loaded(load=True, project=project) == PythonOptions(**found)
    assert PythonOptions(**typed).loaded(load=False, project=project) == PythonOptions(**typed)
