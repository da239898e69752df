"""genvx version."""

from __future__ import annotations

from genvx._version import __version__
from genvx.cli.ask import options
from genvx.cli.schema.document import print_document


def version(json: options.Json = False) -> None:
    """Show the version."""
    if json:
        print_document("version", version=__version__)
    else:
        print(f"genvx {__version__}")
