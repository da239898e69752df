"""The keys of .genvx.toml, and the check of the value of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.device import VisibleAs
from genvx.core.projects.python import chosen
from genvx.core.quantities.amounts import parse_memory
from genvx.core.quantities.durations import parse_duration
from genvx.core.requests.requirements import Requirements
from genvx.core.text import printable, require_name
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


_LONGEST = 4096


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidInput("is text or a number")
    return str(value)


def _texts(value: Any) -> list[str]:
    return [_text(each) for each in (value if isinstance(value, list) else [value])]


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput("is true or false")
    return value


def require_typed_name(text: str) -> str:
    """Return `text` if people may type it as the name of an environment.

    A number alone is refused: with Slurm and MPI, -n 2 is a number of processes.

    Raises:
        InvalidInput: the text is a number, or no valid name.
    """
    if text.isdecimal():
        number = printable(text, 20)
        raise InvalidInput(
            f"--name {number} is only a name; "
            f"try --gpus {number}, or genvx remote run --nodes {number}"
        )
    return require_name(text)


def _wait(value: Any) -> Any:
    if value is not True:
        parse_duration(_text(value))
    return value if value is True else _text(value)


def _time(value: Any) -> str:
    parse_duration(_text(value))
    return _text(value)


def _share(value: Any) -> str:
    parse_memory(_text(value))
    return _text(value)


def _size(value: Any) -> str:
    parse_memory(_text(value))
    return _text(value)


def _gpus(value: Any) -> str:
    Requirements.parse(_text(value))
    return _text(value)


def _devices(value: Any) -> list[str]:
    named = _texts(value)
    Requirements.parse(devices=named)
    return named


def _project(value: Any) -> str:
    text = _text(value)
    # Whoever clones a repository should not send what is outside of it.
    if not text or text.startswith(("/", "~")) or ".." in text.split("/"):
        raise InvalidInput('is "." for the directory of the file, or a directory below it')
    return text


def _python(value: Any) -> str:
    chosen(_text(value))
    return _text(value)


def _line(value: Any) -> str:
    text = _text(value)
    if not text or len(text) > _LONGEST or "\0" in text:
        raise InvalidInput(f"is a line for bash, of {_LONGEST} characters at most")
    return text


# The check of each key: it returns the value, or raises InvalidInput.
KEYS: Mapping[str, Callable[[Any], Any]] = {
    "name": lambda value: require_typed_name(_text(value)),
    "gpus": _gpus,
    "gpu-memory": _share,
    "min-memory": _size,
    "device": _devices,
    "spread": _flag,
    "pack": _flag,
    "over-subscribe": _flag,
    "only-host": _texts,
    "exclude-host": _texts,
    "tag": _texts,
    "wait": _wait,
    "time": _time,
    "project": _project,
    "python": _python,
    "setup": _line,
    "wheels": _project,
    "extra": _texts,
    "visible-as": lambda value: VisibleAs.parse(_text(value)).value,
}
