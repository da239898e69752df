"""genvx config and .genvx.toml: what activate takes in a directory."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.errors import GenvxError, InvalidInput
from genvx.project import checking, keys, reading
from tests.capabilities import USER_A
from tests.conftest import run_genvx
from tests.helpers import genvx_argv, genvx_env


@pytest.fixture
def place(state, tmp_path, monkeypatch):
    """A directory in which we are; gives what a command there answers."""
    monkeypatch.setenv("GENVX_SIMULATE", "4xA100-80GB")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ok(*arguments):
    answer = run_genvx(*arguments)
    assert (answer.returncode, answer.stderr) == (0, "")
    return answer.stdout


def refused(*arguments):
    answer = run_genvx(*arguments)
    assert (answer.returncode, answer.stdout) == (2, "")
    (line,) = answer.stderr.splitlines()
    return line


def taken(*options):
    line = "echo $GENVX_DEVICES,$GENVX_ENVIRONMENT_NAME"
    return ok("activate", *options, "--", "sh", "-c", line).strip()


def test_activate_takes_what_the_file_says(place):
    ok("config", "set", "gpus", "2")
    ok("config", "set", "name", "my train")
    assert taken() == "0,1,my train"


def test_a_file_above_counts_and_the_nearest_wins(place, monkeypatch):
    (place / ".genvx.toml").write_text("gpus = 3\n")
    (place / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(place / "a" / "b")
    assert taken() == "0,1,2,"
    (place / "a" / ".genvx.toml").write_text("gpus = 1\n")
    assert taken() == "0,"


def test_what_is_typed_wins(place):
    (place / ".genvx.toml").write_text('gpus = 3\nname = "x"\npack = true\n')
    assert taken("--gpus", "1") == "0,x"
    assert taken("--device", "2") == "2,x"
    assert taken("--name", "y", "--spread") == "0,1,2,y"


def test_no_load_does_not_look(place):
    (place / ".genvx.toml").write_text("nonsense = 3\n")
    assert taken("--no-load") == ","


def test_what_it_says_of_hosts_is_for_remote(place):
    (place / ".genvx.toml").write_text('gpus = 1\ntag = "a100"\n')
    assert taken() == "0,"


def test_run_does_not_look(place):
    (place / ".genvx.toml").write_text("gpus = 3\n")
    assert run_genvx("run", "--", "sh", "-c", "echo [$GENVX_DEVICES]").stdout == "[]\n"


def test_the_key_that_chose_hosts_before_is_refused_with_todays(place):
    (place / ".genvx.toml").write_text('host = "a"\n')
    assert "unknown key 'host'; did you mean only-host?" in run_genvx("activate").stderr


def test_comments_and_order_survive(place):
    path = place / ".genvx.toml"
    path.write_text("# ours\ngpus = 2  # both\n\n# who\nname = 'x'\n")
    ok("config", "set", "gpus", "A100:1")
    ok("config", "unset", "name")
    assert path.read_text() == '# ours\ngpus = "A100:1"  # both\n\n# who\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpu = 2", "unknown key 'gpu'; did you mean gpus?"),
        ("zzz = 2", "unknown key 'zzz'; keys are name, gpus,"),
        ("gpus = -1", "gpus: "),
        ("gpus = true", "gpus: is text or a number"),
        ("spread = 1", "spread: is true or false"),
        ("spread = true\npack = true", "either spread or pack"),
        ("gpus = 2\ndevice = [0]", "2 GPUs wanted, but 1 devices named"),
        ('time = "soon"', "time: "),
        ("time = 2", "time: '2' has no unit; write 2h, 2m or 2s"),
        ("name = 2", "name: --name 2 is only a name; try --gpus 2"),
        ('name = "a\\nb"', "name: "),
        ("gpus = ", "not TOML: "),
        ("gpus = " + "[" * 5000, "not TOML: "),
    ],
)
def test_a_mistake_in_the_file_is_one_line_and_nothing_is_taken(place, text, said):
    (place / ".genvx.toml").write_text(text)
    line = refused("activate", "--", "true")
    assert line.startswith(f"genvx: {place}/.genvx.toml: ")
    assert said in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gpu-mem", "40G"), "unknown key 'gpu-mem'; did you mean gpu-memory?"),
        (("gpus", "x:y:z"), "gpus: "),
        (("gpus", "1", "2"), "has one value, not 2"),
        (("wait", "x"), "wait: "),
    ],
)
def test_what_is_wrong_is_not_set(place, arguments, said):
    assert said in refused("config", "set", *arguments)
    assert list(place.iterdir()) == []


def test_unset_says_what_is_not_there(place):
    assert "no .genvx.toml here or above" in refused("config", "unset", "gpus")
    ok("config", "set", "gpus", "1")
    assert "does not set name" in refused("config", "unset", "name")
    assert "did you mean gpus?" in refused("config", "unset", "gpu")


def test_show_and_path_tell_which_file_counts(place):
    assert ok("config").startswith("No .genvx.toml here or above")
    assert "no .genvx.toml" in refused("config", "path")
    ok("config", "set", "device", "0,3")
    assert ok("config", "path") == f"{place}/.genvx.toml\n"
    assert ok("config", "show") == ok("config") == f"{place}/.genvx.toml\n  device = 0, 3\n"
    assert json.loads(ok("config", "--json"))["values"] == {"device": ["0", "3"]}


@pytest.mark.needs("root")
def test_a_strangers_file_is_not_followed(place):
    path = place / ".genvx.toml"
    path.write_text("gpus = 3\n")
    os.chown(path, USER_A, USER_A)
    answer = run_genvx("activate", "--", "sh", "-c", "echo [$GENVX_DEVICES]")
    assert answer.stdout == "[]\n"
    assert answer.stderr == f"genvx: {path} is not loaded: it belongs to uid {USER_A}\n"


def test_the_name_of_a_directory_does_not_reach_the_terminal_as_it_is(place, monkeypatch):
    odd = place / "a\x1b[31mb\nc"
    odd.mkdir()
    monkeypatch.chdir(odd)
    (odd / ".genvx.toml").write_text("gpus = 3\n")
    (odd / ".genvx.toml").chmod(0o666)
    for answer in (run_genvx("activate", "--", "true"), run_genvx("config")):
        shown = answer.stdout + answer.stderr
        assert (answer.returncode, shown.count("a\\x1b[31mb\\nc")) == (0, 1)
        assert "\x1b" not in shown


def test_what_is_no_file_any_more_when_it_is_read_does_not_keep_us_waiting(place):
    os.mkfifo(place / "pipe")
    with pytest.raises(InvalidInput, match="is no regular file any more"):
        reading.load(place / "pipe", unasked=True)


def test_a_file_that_everybody_can_write_is_not_followed(place):
    path = place / ".genvx.toml"
    path.write_text("gpus = 3\n")
    path.chmod(0o666)
    assert "can be written by everybody" in run_genvx("activate", "--", "true").stderr
    assert "not loaded" in ok("config")


@given(
    st.dictionaries(
        st.sampled_from([*keys.KEYS, "gpu", ""]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_whatever_a_file_says_is_taken_whole_or_refused(values):
    try:
        found = checking.checked(values, "x")
    except InvalidInput:
        return
    assert found.keys() == values.keys()
    try:
        checking.requirements(found)
    except GenvxError as error:
        raise AssertionError("checked, and yet refused") from error


@pytest.mark.needs("bash")
def test_a_shell_is_told_once_that_a_file_is_not_loaded(place, short_tmp):
    path = place / ".genvx.toml"
    path.write_text("gpus = 3\n")
    path.chmod(0o666)
    program = short_tmp / "genvx"
    program.write_text(f'#!/bin/sh\nexec {" ".join(genvx_argv())} "$@"\n')
    program.chmod(0o755)
    answer = subprocess.run(
        ["bash", "-c", 'eval "$(genvx shell-init bash)"; genvx activate; echo [$GENVX_DEVICES]'],
        env=genvx_env(PATH=f"{short_tmp}:{os.environ['PATH']}"),
        capture_output=True,
        text=True,
    )
    assert (answer.returncode, answer.stdout) == (0, "[]\n")
    assert answer.stderr.count("is not loaded") == 1
