"""Words that genvx does not have, those of other programs among them; where options may stand; and
what help shows.
"""

from __future__ import annotations

import re

import pytest

from genvx.cli import app, main
from genvx.cli.words import misplaced
from genvx.cli.words.expected import ANSWERS
from genvx.cli.words.options import OPTIONS
from genvx.cli.words.runsverbs import RUNS_VERBS
from genvx.cli.words.verbs import VERBS
from tests.conftest import run_genvx

ROOT = app.root()
REMOTE = ROOT.commands["remote"]


def options(command):
    return {name for param in command.params for name in param.opts}


def known(text):
    """Whether all that an answer tells people to type is there."""
    groups = (ROOT, REMOTE, ROOT.commands["runs"], ROOT.commands["remotes"])
    verbs = [verb for group in groups for verb in group.commands.values()]
    everything = {name for verb in verbs for name in options(verb)}
    everything |= options(REMOTE) | {"--"}
    for option in re.findall(r"(?<![\w-])--?[A-Za-z][a-z-]*", text):
        assert option in everything, option
    for typed in re.findall(r"genvx ((?:remote )?(?:-H A,B )?(?:[a-z-]+))", text):
        group = REMOTE if typed.startswith("remote") else ROOT
        verb = typed.split()[-1]
        assert verb in {"remote", *group.commands, "has", "hands"}, text


@pytest.mark.parametrize("word", VERBS)
def test_a_foreign_verb_is_none_of_ours_and_is_answered_with_one_that_is(word):
    assert word not in ROOT.commands
    known(VERBS[word].replace("{}", "genvx"))
    known(VERBS[word].replace("{}", "genvx remote"))


@pytest.mark.parametrize("word", RUNS_VERBS)
def test_a_foreign_verb_behind_runs_is_none_of_its_and_is_answered_with_one_that_is(word):
    assert word not in ROOT.commands["runs"].commands
    known(RUNS_VERBS[word].replace("{}", "genvx"))


def test_the_verbs_of_runs_that_answers_name_are_there():
    answers = [*VERBS.values(), *RUNS_VERBS.values()]
    named = {verb for text in answers for verb in re.findall(r"\{\} runs ([a-z]+) RUN", text)}
    assert named <= set(ROOT.commands["runs"].commands)
    assert {"stop", "compare", "restart", "move", "delete", "label"} <= named


@pytest.mark.parametrize("word", OPTIONS)
def test_a_foreign_option_is_answered_with_one_of_ours(word):
    # What genvx run has of them, for runs that are detached, a shell does not have.
    assert word not in options(ROOT.commands["activate"])
    known(OPTIONS[word])


@pytest.mark.parametrize(("verb", "option"), ANSWERS)
def test_an_option_that_people_expect_at_a_verb_is_not_there_and_is_answered(verb, option):
    # Some verbs are only those of genvx remote.
    command = ROOT if verb.split()[0] in ROOT.commands else REMOTE
    for word in verb.split():
        command = command.commands[word]
    assert option not in options(command)
    known(misplaced.answer(option, f"genvx {verb}"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["squeue"], "genvx: there is no squeue here; genvx runs shows your runs, genvx queue who"),
        (["remote", "-H", "a", "sinfo"], "genvx remote devices shows what is free"),
        (["srun", "--gres=gpu:2", "x"], "there is no srun here; genvx run --gpus N -- CMD"),
        (["run", "--gres=gpu:2", "--", "x"], "there is no --gres here; --gpus N takes N GPUs"),
        (["run", "-p", "gpu", "x"], "there is no -p here; --tag TAG"),
        (["remote", "run", "--count", "2", "x"], "there is no --count here; --gpus N"),
        (["help", "scancel"], "genvx release ENV"),
        (["remote", "config"], "config is for this machine only: genvx config"),
        (["cluster", "ray"], "cluster is for the hosts of genvx remote: genvx remote cluster\n"),
        (["ray"], "genvx remote cluster ray (or dask) -N 2 -g 4 -- CMD"),
        (["serve", "-N", "2", "x"], "a server is on one host"),
        (["run", "--workdir", ".", "x"], "--project DIR (of genvx run --detach) sends a directory"),
        (["sweep", "--trials", "many", "x"], "'many' is not a whole number; see genvx sweep"),
        (["serve", "--port", "0", "x"], "0 is not from 1 to 65535; see genvx serve --help"),
        (["devices", "--interval", "0"], "is not from 0.2 to 3600; see genvx devices --help"),
        (["devices", "-H", "a"], "genvx remote -H A,B devices"),
        (["remote", "run", "--host", "a", "x"], "--only-host NAME takes some of those"),
        (["remote", "run", "-t", "2:00:00", "x"], "--time 2h ends it"),
        (["detach", "--gpus", "1"], "there is no --gpus here; --device 0,3 names GPUs; without it"),
        (["remote", "release", "-g", "1"], "genvx remote detach --device 0 --id ENV gives one"),
        (["remote", "acquire", "--nodes", "2"], "it is an option of genvx remote cluster, run\n"),
        (["status", "-w"], "it is an option of genvx devices, envs, queue and others\n"),
        (["envs", "-q"], "it is an option of genvx remote, as in: genvx remote -H"),
        (["--json", "devices"], "write it after a verb: genvx devices --json\n"),
        (["sandbox", "up", "--hosts", "30"], "--gpus 8,8,8 is three hosts"),
        (["diff", "1", "2"], "genvx runs compare RUN RUN shows what differs\n"),
        (["select"], "genvx runs info RUN shows a run"),
        (["exec", "x"], "genvx ssh RUN -- CMD runs a command inside of a run"),
        (["runs", "ls"], "there is no ls here; genvx runs shows runs"),
        (["remote", "runs", "kill", "1"], "genvx remote runs stop RUN ends a run"),
        (["runs", "frobnicate"], "No such command 'frobnicate'"),
        (["frobnicate"], "genvx: No such command 'frobnicate'; see genvx --help"),
        (["config", "find"], "No such command 'find'"),
        (["\x1b[2J"], "\\x1b[2J"),
    ],
)
def test_an_unknown_word_is_one_line_and_2(state, words, said):
    answer = run_genvx(*words)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert answer.stderr[:-1].isprintable()


def test_what_follows_a_command_is_no_word_of_ours(state):
    answer = run_genvx("run", "-g", "1", "echo", "--gres=gpu:2", "squeue")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "--gres=gpu:2 squeue\n", "")


@pytest.mark.parametrize("words", [["--version"], ["-V"], ["version"]])
def test_the_version_is_shown(words):
    answer = run_genvx(*words)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert re.fullmatch(r"genvx \d+\.\d+\.\d+\S*\n", answer.stdout)


@pytest.mark.parametrize("words", [[], ["run"], ["remote"], ["remote", "run"], ["config", "set"]])
def test_help_is_a_verb_too(words):
    assert run_genvx("help", *words).stdout == run_genvx(*words, "--help").stdout


def every_command(command=ROOT, path=()):
    yield command, path
    for name, verb in getattr(command, "commands", {}).items():
        if not verb.hidden:
            yield from every_command(verb, (*path, name))


@pytest.mark.parametrize("path", [path for _, path in every_command()], ids=" ".join)
def test_no_help_shows_types_of_python_or_what_is_internal(capsys, path):
    assert app.invoke([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert not re.search(r"<|TEXT|INTEGER|FLOAT|\[required\]|None|ssh-proxy|in-shell", text)
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith(f"Usage: {' '.join(('genvx', *path))} [OPTIONS]")


def test_help_lists_every_verb_by_what_it_is_for(capsys):
    app.invoke(["--help"])
    text = capsys.readouterr().out
    sections = re.findall(r"^([A-Z][A-Za-z ]+):$", text, re.MULTILINE)
    assert sections == ["Options", "Look", "Runs", "Hold GPUs", "Set up", "Many hosts"]
    listed = re.findall(r"^  ([a-z-]+)  ", text, re.MULTILINE)
    listed += re.split(r",\s+", text.rpartition("\nAlso: ")[2].strip())
    assert sorted(listed) == sorted(n for n, verb in ROOT.commands.items() if not verb.hidden)


def test_a_command_that_must_be_given_is_not_shown_as_optional(capsys):
    for verb, usage in (
        ("run", "genvx run [OPTIONS] CMD...\n"),
        ("lock", "genvx lock [OPTIONS] CMD...\n"),
        ("activate", "genvx activate [OPTIONS] [CMD...]\n"),
    ):
        app.invoke([verb, "--help"])
        assert usage in capsys.readouterr().out


# Where options of genvx remote may stand

NO_HOST = "no-such.invalid"


# These name a remote themselves.
NAMING = ("start", "stop")
# These go on whether hosts answer or not; tests/cli/test_monitor.py, test_web.py,
# test_enforcing.py and live/test_top.py have them.
LASTING = ("monitor", "web", "top", "enforce")
_ASKED = [
    name
    for name, verb in REMOTE.commands.items()
    if not verb.hidden and name not in (*NAMING, *LASTING)
]


@pytest.mark.parametrize("verb", _ASKED)
def test_where_may_stand_behind_each_verb(state, tmp_path, capsys, monkeypatch, verb):
    # No history of whoever runs the tests answers in place of the hosts.
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    more = {
        "release": ["x"],
        "enforce": ["--once"],
        "admin": ["clean"],
        "run": ["-g", "1", "--", "true"],
        "serve": ["-g", "1", "--", "true"],
        "cluster": ["dask", "-N", "1"],
        "activate": ["-g", "1", "--", "true"],
        "explain": ["-g", "1"],
        "sweep": ["-P", "a=1,2", "--", "true"],
        "acquire": ["-g", "1", "--for", "1h"],
        "ssh-config": ["x"],
        "tunnel": ["x", "6006"],
        "push": ["x"],
        "smi": ["--id", "x"],
        "attach": ["--id", "x", "-g", "1"],
        "detach": ["--id", "x"],
        "lock": ["--id", "x", "--", "true"],
    }.get(verb, [])
    (tmp_path / "hosts.txt").write_text(f"{NO_HOST}\n")
    for where in (["-H", NO_HOST], ["--hostfile", "hosts.txt"]):
        before = main.run(["remote", *where, verb, *more]), capsys.readouterr()
        behind = main.run(["remote", verb, *where, *more]), capsys.readouterr()
        assert behind == before
        assert NO_HOST in behind[1].err


def test_what_stands_behind_a_verb_adds_to_what_stands_before_it(state):
    answer = run_genvx("remote", "-q", "-H", NO_HOST, "devices", "--timeout", "5", "--no-header")
    assert (answer.returncode, answer.stderr) == (4, "")
    both = run_genvx("remote", "-H", "a", "devices", "--hostfile", "b")
    assert both.stderr == "genvx: give either -H or --hostfile, not both\n"
    wrong = run_genvx("remote", "devices", "-H", "a", "-t", "soon")
    assert wrong.returncode == 2
    assert "not a duration: 'soon'" in wrong.stderr


def test_wait_without_a_time_is_known_behind_where(state):
    answer = run_genvx("remote", "run", "-H", NO_HOST, "--wait", "-g", "1", "true")
    assert answer.stderr.startswith("No host answered\n")
