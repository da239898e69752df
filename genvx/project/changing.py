"""Changing a .genvx.toml; its comments and its order are kept."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.project.checking import checked
from genvx.project.keys import KEYS
from genvx.project.reading import NAME, find, load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.project.checking import Values


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
