"""The usual command lines are read without typer, and mean what typer makes of them."""

import pytest

from genvx.cli import app
from genvx.cli.parse import plain
from genvx.cli.parse.building import built
from genvx.cli.parse.declaring import Command, Exit, Group
from genvx.cli.parse.loading import root

ROOT = built(root())


def every_verb(group=None, path=()):
    for name, each in (group or root()).verbs.items():
        if isinstance(each, Group):
            yield from every_verb(each, (*path, name))
        else:
            yield (*path, name), each


VERBS = dict(every_verb())


def value_for(parameter):
    if parameter.kind is str:
        return "x y"
    return str(parameter.kind(parameter.info.min or 1))


def option(name, parameter):
    return [name] if parameter.kind is bool else [name, value_for(parameter)]


def line(path, options=()):
    """A whole command line of a verb, with its arguments."""
    verb = VERBS[path]
    words = [*path, *options]
    for each in verb.parameters:
        if each.names and each.required and each.names[0] not in options:
            words += option(each.names[0], each)
    if verb.runs or verb.divided:
        needed = [each for each in verb.parameters if not each.names and each.name != "command"]
        words += [value_for(each) for each in needed if verb.divided]
        return [*words, "--", "a", "-g", "--", "b"]
    for each in verb.parameters:
        if not each.names:
            words += [value_for(each)] * (2 if each.several else 1)
    return words


@pytest.fixture
def called(monkeypatch):
    """What is called by a command line, instead of its verb: name, values, and what was typed."""
    seen = []

    def call(command, context, given):
        if isinstance(command, Group):
            context.obj = f"{context.obj} {given} {sorted(context.typed)}"
            return
        # What stands behind -- is typed or not, as it comes.
        seen.append((command.name, context.obj, given, context.typed - {"command"}))
        raise Exit(7)

    monkeypatch.setattr(Command, "call", call)
    monkeypatch.setattr(app, "root", lambda: ROOT)
    return seen


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_it_reads_each_option_of_each_verb_as_typer_does(called, path):
    lines = [line(path)]
    for each in VERBS[path].parameters:
        # What names a remote changes the whole line, and is read by typer.
        lines += [line(path, option(name, each)) for name in each.opts if each.passed]
        if each.names and each.several:
            lines.append(line(path, 2 * option(each.opts[0], each)))
    for words in lines:
        answer = plain.answering(words)
        if answer is None:
            assert "--wait" in words  # its time may be left out
            continue
        assert (answer(), app.invoke(words)) == (7, 7), words
        short, whole = called
        assert short == whole, words
        called.clear()


def test_it_reads_the_options_of_groups(called):
    for words in (
        ["remote", "-H", "a", "-t", "1.5", "--fanout=3", "-e", "devices", "--csv"],
        ["remote", "--hostfile=f", "-r", "lab", "runs", "-a", "info", "1"],
        ["runs", "-s", "running", "-s", "waiting", "info", "--json", "1"],
    ):
        assert (plain.answering(words)(), app.invoke(words)) == (7, 7)
    assert called[::2] == called[1::2]
    assert len(called) == 6


@pytest.mark.parametrize(
    "words",
    [
        *("", "nonsense", "notify", "remote", "remote -H a", "devices --bogus", "devices x"),
        *("devices --interval 0", "devices --interval x", "devices --pid 1.0", "devices -vw"),
        *("devices --name", "devices --name --csv", "devices --json --json", "devices --json=1"),
        *("devices --all-rows", "explain -g1", "explain -g=1", "explain -g -1", "release"),
        *("devices --remote lab", "--remote lab devices", "remote devices -H a", "--", "-"),
        *("run -g 1 true", "run -g 1 --", "run x -- true", "run --wait 5m -- true", "config set a"),
        *("config path x", "remote sweeps", "remote admin provision", "runs --help -a"),
    ],
)
def test_what_leaves_a_doubt_is_left_to_typer(words):
    assert plain.answering(words.split()) is None


def test_a_run_that_is_empty_is_refused_as_with_typer(state, capsys):
    from genvx.shown import door

    words = ["runs", "info", ""]
    said = []
    for read in (plain.answering(words), lambda: app.invoke(words)):
        said.append((door.answered(read), capsys.readouterr().err))
    assert said[0] == said[1]
    assert said[0][0] == 2
