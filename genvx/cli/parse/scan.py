"""What each word of a command line is, before it is parsed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.cli.parse.commands import Divided

if TYPE_CHECKING:
    from collections.abc import Iterator

FOR_EVER = "for ever"


def scan(command: Any, words: list[str]) -> Iterator[tuple[int, str, Any]]:
    """Yield the options and verbs of a command line: index, word, and click's object or None.

    It ends at `--`, at the first argument of a verb that has a command, or at a verb that does not
    exist.
    """
    params = list(command.params)
    at = 0
    while at < len(words) and words[at] != "--":
        word = words[at]
        if word.startswith("-") and len(word) > 1:
            name = word.partition("=")[0]
            option = next((each for each in params if name in each.opts), None)
            yield at, word, option
            # A value after "=" takes no further word. words[at] is read anew: spell_out_wait puts
            # "--wait=TIME" there.
            if option is not None and name == words[at] and not getattr(option, "is_flag", True):
                at += 1
        elif hasattr(command, "commands"):
            command = command.commands.get(word)
            yield at, word, command
            if command is None:
                return
            # Options of genvx remote may be written after its verbs.
            params += command.params
        elif not command.context_settings.get("allow_interspersed_args", True):
            return
        at += 1


def spell_out_wait(command: Any, arguments: list[str]) -> list[str]:
    """Replace `--wait` without a time, where it is an option of genvx, by `--wait=for ever`.

    Option parsers cannot handle a value that may be missing: they would take the next word. A next
    word that begins with a digit is the time, never a command; but it may be a run.
    """
    spelled = list(arguments)
    takes_a_run = False
    for at, word, found in scan(command, spelled):
        takes_a_run = takes_a_run or isinstance(found, Divided)
        if word == "--wait":
            time = spelled[at + 1] if at + 1 < len(spelled) else ""
            if time[:1].isdigit() and not takes_a_run:
                del spelled[at + 1]
            else:
                time = FOR_EVER
            spelled[at] = f"--wait={time}"
    return spelled
