"""The modules of trialcode/, as text: what the command of a trial may import.

The agent has no other files than modules: there `fleet/delivery/pack.py` puts a module with these
texts in the place of this one.
"""

from __future__ import annotations

import os

_DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "trialcode")


def read(name: str) -> str:
    """The text of a file. name: that of the file in trialcode/."""
    with open(os.path.join(_DIRECTORY, name), encoding="utf-8") as file:
        return file.read()
