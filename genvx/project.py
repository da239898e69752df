"""`.genvx.toml`: defaults of `genvx activate` for a directory and those below it.

    name = "train"
    gpus = "A100:2"        # every key is an option of genvx activate
    gpu-memory = "40G"
    time = "8h"

Values are written as for the option, or as a TOML number, list or boolean where that fits.
"""

from __future__ import annotations

import difflib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genvx.core import ownership
from genvx.core.device import VisibleAs
from genvx.core.durations import parse_duration
from genvx.core.requirements import Requirements, Strategy
from genvx.core.text import printable, require_name
from genvx.errors import GenvxError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME = ".genvx.toml"
_MOST_BYTES = 65536

Values = dict[str, Any]


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
    Requirements.parse("1", _text(value))
    return _text(value)


def _size(value: Any) -> str:
    Requirements.parse("1", min_memory=_text(value))
    return _text(value)


def _gpus(value: Any) -> str:
    Requirements.parse(_text(value))
    return _text(value)


def _devices(value: Any) -> list[str]:
    named = _texts(value)
    Requirements.parse(devices=named)
    return named


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
    "visible-as": lambda value: VisibleAs.parse(_text(value)).value,
}


def find(start: Path | None = None) -> Path | None:
    """Return the file that applies in a directory: its own, or the nearest above; None if none is.

    start: the directory; the current one by default.
    """
    try:
        here = Path.cwd() if start is None else start.absolute()
    except FileNotFoundError:
        return None  # the current directory was removed
    for directory in (here, *here.parents):
        path = directory / NAME
        try:
            if path.is_file():
                return path
        except OSError:
            continue  # a directory that we may not read
    return None


class Stranger(InvalidInput):
    """A file is not loaded unasked, because somebody else could have written it.

    They could choose devices, hosts and times for us.
    """


def stranger(path: Path) -> str | None:
    """Return why a file is not loaded unasked; None if it is loaded."""
    try:
        return ownership.stranger(path.stat(), os.geteuid())
    except OSError as error:
        return error.strerror or str(error)


def load(path: Path, *, unasked: bool = False) -> Values:
    """Read a file and check its values.

    unasked: whether the user did not name the file.

    Raises:
        InvalidInput: the file cannot be read, is no TOML, or has a wrong key or value.
        Stranger: it is unasked, and somebody else could have written it.
    """
    import tomllib

    try:
        # It may have become a FIFO since it was found; opening that without O_NONBLOCK blocks.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InvalidInput(f"{path} is no regular file any more")
            why = ownership.stranger(status, os.geteuid()) if unasked else None
            if why is not None:
                raise Stranger(f"{path} is not loaded: it {why}")
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise InvalidInput(f"{path}: more than {_MOST_BYTES} bytes")
        return checked(tomllib.loads(data.decode("utf-8")), str(path))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{path}: not TOML: {printable(str(error), 200)}") from None
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from None


def checked(values: Mapping[str, Any], where: str) -> Values:
    """Check values and return them in their usual types.

    where: the name of the file, for messages.

    Raises:
        InvalidInput: a key or value is wrong; the message names the first.
    """
    found: Values = {}
    for key, value in values.items():
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, 1, 0.5)
            advice = f"did you mean {near[0]}?" if near else f"keys are {', '.join(KEYS)}"
            raise InvalidInput(f"{where}: unknown key {printable(key, 40)!r}; {advice}")
        try:
            found[key] = KEYS[key](value)
        except GenvxError as error:
            raise InvalidInput(f"{where}: {key}: {error}") from None
    if found.get("spread") and found.get("pack"):
        raise InvalidInput(f"{where}: either spread or pack, not both")
    try:
        requirements(found)
    except GenvxError as error:
        raise InvalidInput(f"{where}: {error}") from None
    return found


def requirements(values: Values) -> Requirements:
    """Return the requirements that values make.

    Raises:
        InvalidInput: they contradict each other.
    """
    strategy = (
        Strategy.SPREAD
        if values.get("spread")
        else Strategy.PACK
        if values.get("pack")
        else Strategy.FIT
    )
    return Requirements.parse(
        values.get("gpus"),
        values.get("gpu-memory"),
        min_memory=values.get("min-memory"),
        devices=values.get("device", ()),
        strategy=strategy,
        over=bool(values.get("over-subscribe")),
        visible_as=VisibleAs(values["visible-as"]) if "visible-as" in values else None,
    )


def change(changes: Mapping[str, Any], start: Path | None = None) -> tuple[Path, Values]:
    """Set keys in the file that applies, or in a new one in the directory; None removes a key.

    Comments and order of the file are kept. Return the file and all its values.

    Raises:
        InvalidInput: a key or value is wrong; nothing is changed.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    path = find(start) or (Path.cwd() if start is None else start) / NAME
    for key, value in changes.items():
        # To remove a key, no value is checked; a key that does not exist is still an error.
        if value is None:
            checked({key: True} if key not in KEYS else {}, "genvx config")
        else:
            checked({key: value}, "genvx config")
    before: Values = load(path) if path.exists() else {}
    after = {**before, **changes}
    after = checked({k: v for k, v in after.items() if v is not None}, str(path))
    try:
        text = path.read_text("utf-8") if path.exists() else ""
        document = tomlkit.parse(text)
        for key, value in changes.items():
            if value is not None:
                document[key] = value
            elif key in document:
                del document[key]
        # Written beside it and renamed: a shell that activates meanwhile must not read half a file.
        temporary = path.with_name(f"{NAME}.{os.urandom(6).hex()}")
        try:
            with open(temporary, "x", encoding="utf-8") as file:
                file.write(tomlkit.dumps(document))
            # The mode of the old file: a group that shares a project would lose its access.
            if path.exists():
                os.chmod(temporary, stat.S_IMODE(path.stat().st_mode))
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from None
    except TOMLKitError as error:
        raise InvalidInput(f"{path}: not TOML: {printable(str(error), 200)}") from None
    return path, after
