"""The files of code/, as they are.

The agent is one file of modules and has no other files: there `fleet/delivery/pack.py` puts a
module with their texts in the place of this one.
"""

from __future__ import annotations

import os

_DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "code")


def read(name: str) -> str:
    """The text of a file. name: its path below code/."""
    with open(os.path.join(_DIRECTORY, name), encoding="utf-8") as file:
        return file.read()
