"""`.genvx.toml`: what `genvx activate` takes in a directory, and in those below it.

    name = "train"
    gpus = "A100:2"        # every key is an option of genvx activate
    gpu-memory = "40G"
    time = "8h"

Values are what one types for the option; a number or a list where one would expect it.
"""

from __future__ import annotations

import difflib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genvx.core import ownership
from genvx.core.device import VisibleAs
from genvx.core.requirements import Requirements, Strategy
from genvx.core.text import printable, require_name
from genvx.core.units import parse_duration
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
    """Return `text` if people may name an environment so: by no number alone, which is how many to
    Slurm and MPI (-n 2).

    Raises:
        InvalidInput: it is a number, or no name at all.
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


# What each key is to be; each raises InvalidInput if it is not.
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
    """The file that counts in a directory (None: this one): its own, or the nearest above."""
    try:
        here = Path.cwd() if start is None else start.absolute()
    except FileNotFoundError:
        return None  # the directory was removed under us
    for directory in (here, *here.parents):
        path = directory / NAME
        try:
            if path.is_file():
                return path
        except OSError:
            continue  # not ours to look at
    return None


class Stranger(InvalidInput):
    """A file is not to be followed unasked: whoever can write it would choose for us."""


def stranger(path: Path) -> str | None:
    """Why a file is not to be followed unasked."""
    try:
        return ownership.stranger(path.stat(), os.geteuid())
    except OSError as error:
        return error.strerror or str(error)


def load(path: Path, *, unasked: bool = False) -> Values:
    """What a file says, checked.

    Raises:
        InvalidInput: it cannot be read, is no TOML, or has a wrong key or value. Stranger: nobody
            asked for it, and somebody else could have written it.
    """
    import tomllib

    try:
        # It was a file when it was found; what it is now must not keep us waiting.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InvalidInput(f"{path} is no file any more")
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
    """Values as they are to be; raise InvalidInput that says where the first wrong one is."""
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
    """What devices values ask for.

    Raises:
        InvalidInput: they do not go together.
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
    """Set keys in the file that counts, or in a new one in the directory; None unsets.

    Comments and order of the file survive. Returns the file, and all that it says then.

    Raises:
        InvalidInput: a key or value is wrong; nothing is changed.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    path = find(start) or (Path.cwd() if start is None else start) / NAME
    for key, value in changes.items():
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
        temporary = path.with_name(f"{NAME}.{os.urandom(6).hex()}")
        try:
            with open(temporary, "x", encoding="utf-8") as file:
                file.write(tomlkit.dumps(document))
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
