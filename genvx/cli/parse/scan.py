"""What each word of a command line is, before it is parsed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.cli.parse.commands import Divided
from genvx.cli.parse.declaring import FOR_EVER

if TYPE_CHECKING:
    from collections.abc import Iterator


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
            yield at, word, _option(params, word)[0]
            # words[at] is read anew: spell_out_wait puts "--wait=TIME" there.
            at += _option(params, words[at])[1]
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


def _option(params: list[Any], word: str) -> tuple[Any, bool]:
    """Return the option that a word names, and whether the next word is its value.

    Of several letters, as in -dr, it is the last, unless one before it takes the rest as its value.
    """
    name, equals, _ = word.partition("=")
    found = next((each for each in params if name in each.opts), None)
    letters = word[1:] if found is None and not word.startswith("--") else ""
    rest = equals
    for at, letter in enumerate(letters, 1):
        found = next((each for each in params if f"-{letter}" in each.opts), None)
        rest = letters[at:]
        if found is None or not _is_flag(found):
            break
    return found, found is not None and not rest and not _is_flag(found)


def _is_flag(option: Any) -> bool:
    return bool(getattr(option, "is_flag", True))


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


def on_remote(command: Any, words: list[str]) -> list[str]:
    """Return the command line, as one of genvx remote if it names a remote.

    command: the click command of genvx.
    """
    # Most command lines have no such word, and nothing is built for them.
    if words[:1] == ["remote"] or not any(map(_may_name_one, words)):
        return words
    far = ["remote", *words]
    for _, _, option in scan(command, far):
        if "--remote" in getattr(option, "opts", ()):
            return far
    return words


def _may_name_one(word: str) -> bool:
    return word.partition("=")[0] == "--remote" or (
        word.startswith("-") and not word.startswith("--") and "r" in word
    )
