"""The only module that imports Optuna: it is an extra, large, and loaded only where it is used."""

from __future__ import annotations

import sys
from typing import Any

from genvx.errors import InvalidInput


def optuna(what: str) -> Any:
    """Return the module. what: what needs it, for the message.

    Raises:
        InvalidInput: it is not installed.
    """
    try:
        import optuna as module
        import optuna.storages.journal
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "optuna":
            raise
        raise InvalidInput(f"{what} needs Optuna: pip install 'genvx[sweep]'") from None
    # It logs a line for each study and each trial to stderr.
    module.logging.set_verbosity(module.logging.ERROR)
    return module


def storage_errors(module: Any) -> tuple[type[Exception], ...]:
    """Return what a storage of Optuna raises when it fails."""
    # LookupError: somebody has deleted the study.
    found = [module.exceptions.OptunaError, LookupError, OSError, ImportError]
    found += [ValueError, RuntimeError]
    # Of the libraries behind it, those that are loaded.
    for place, name in (("sqlalchemy.exc", "SQLAlchemyError"), ("redis", "RedisError")):
        if place in sys.modules:
            found.append(getattr(sys.modules[place], name))
    return tuple(found)


__all__ = ["optuna", "storage_errors"]
