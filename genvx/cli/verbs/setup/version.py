"""genvx version."""

from __future__ import annotations

from genvx._version import __version__
from genvx.cli.ask import options
from genvx.cli.show.tables import SCHEMA, print_json


def version(json: options.Json = False) -> None:
    """Show the version."""
    if json:
        print_json({"schema": SCHEMA, "verb": "version", "version": __version__})
    else:
        print(f"genvx {__version__}")
