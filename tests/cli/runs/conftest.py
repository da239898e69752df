"""Terminals of people who view runs."""

from __future__ import annotations

import pytest

from tests.helpers import Terminal, genvx_argv, genvx_env


@pytest.fixture
def view():
    """Starts genvx remote watch -i in terminals, which are closed when the test ends."""
    made = []

    def begin(*words, size=(24, 200)):
        made.append(Terminal(genvx_argv("remote", "watch", "-i", *words), genvx_env(), size))
        return made[-1]

    yield begin
    for each in made:
        each.child.close(force=True)
