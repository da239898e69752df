"""The usual command lines, read without typer.

To import typer and to build its commands takes longer than most verbs take to answer. So what
leaves no doubt is read here, by what verbs declare: options written out, with values that typer
takes, too. All else is left to typer, which also says what is wrong with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.cli.parse.declaring import Argument, Context, Exit, Group
from genvx.cli.parse.loading import root

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.cli.parse.declaring import Command, Parameter

    # A verb or a group, the values that were typed for it, and of a group the verb that follows.
    Call = tuple[Command, dict[str, Any], str | None]


def answering(words: list[str]) -> Callable[[], int] | None:
    """Return what acts on a command line, and returns its exit code; None if typer is to read it.

    Until that is called nothing happens, but that modules are loaded.
    """
    command: Command = root()
    calls: list[Call] = []
    words = list(words)
    while isinstance(command, Group):
        given: dict[str, Any] = {}
        if not take_options(command.parameters, words, given):
            return None
        verb = words.pop(0) if words else None
        calls.append((command, given, verb))
        if verb is None:
            return (lambda: _act(calls)) if command.alone else None
        if verb not in command.verbs:
            return None
        command = command.verbs[verb]
    typed = _typed(command, words)
    if typed is None:
        return None
    calls.append((command, typed, None))
    return lambda: _act(calls)


def _act(calls: list[Call]) -> int:
    obj = result = None
    try:
        for command, given, verb in calls:
            context = Context(command.name, obj, given, verb)
            result = command.told(context, given)
            obj = context.obj
    except Exit as end:
        return end.exit_code
    return result if isinstance(result, int) else 0


def _typed(command: Command, words: list[str]) -> dict[str, Any] | None:
    """Read what follows a verb: options, arguments and a command behind `--`."""
    given: dict[str, Any] = {}
    if command.runs or command.divided:
        if "--" not in words or words[-1] == "--":
            return None
        at = words.index("--")
        words, given["command"] = words[:at], words[at + 1 :]
    arguments: list[str] = []
    while True:
        if not take_options(command.parameters, words, given):
            return None
        if not words:
            return given if _take_arguments(command, arguments, given) else None
        if command.runs:
            return None  # its command begins here, where options of ours are those of the command
        arguments.append(words.pop(0))


def _take_arguments(command: Command, words: list[str], given: dict[str, Any]) -> bool:
    """Take arguments; False if they are not read here, or something is missing."""
    for each in command.parameters:
        if isinstance(each.info, Argument) and each.name not in given and words:
            taken, words = (words, []) if each.several else (words[:1], words[1:])
            values = [_value(each, word) for word in taken]
            if None in values:
                return False
            given[each.name] = values if each.several else values[0]
        if each.required and each.name not in given:
            return False
    return not words


def take_options(
    parameters: tuple[Parameter, ...], words: list[str], given: dict[str, Any]
) -> bool:
    """Take the options from the beginning of words; False if one of them is not read here."""
    while words and words[0].startswith("-"):
        name, equals, text = words.pop(0).partition("=")
        found = next((each for each in parameters if name in each.opts and each.passed), None)
        # Typed a second time, it counts for typer; whatever that says, it says.
        if found is None or (found.name in given and not found.several):
            return False
        value: Any = True
        if found.kind is not bool:
            if not equals:
                if not words or words[0].startswith("-") or _may_lack_value(found):
                    return False
                text = words.pop(0)
            elif not name.startswith("--"):
                return False
            value = _value(found, text)
        elif equals:
            return False
        if value is None:
            return False
        given[found.name] = [*given.get(found.name, ()), value] if found.several else value
    return True


def _may_lack_value(option: Parameter) -> bool:
    return (option.info.metavar or "").startswith("[=")


def _value(parameter: Parameter, text: str) -> Any:
    """The value of a text; None if it is none, or too small or large."""
    if parameter.kind is str:
        return text
    try:
        number = parameter.kind(text)
    except ValueError:
        return None
    least, most = parameter.info.min, parameter.info.max
    fits = (least is None or number >= least) and (most is None or number <= most)
    return number if fits else None
