"""What messages suggest is typed again for the same hosts."""

from __future__ import annotations

import pytest

from genvx.cli.ask.where import Where


@pytest.mark.parametrize(
    ("where", "typed"),
    [
        (Where(), "genvx"),
        (Where(remote=True), "genvx remote"),
        (Where(remote=True, hosts="gpu[1-4]"), "genvx remote -H 'gpu[1-4]'"),
        (Where(remote=True, hosts="a", login="bob"), "genvx remote -H a -l bob"),
        (Where(remote=True, named="lab"), "genvx --remote lab"),
        (Where(remote=True, named="lab", login="bob"), "genvx remote --remote lab -l bob"),
    ],
)
def test_a_suggested_command_asks_the_same_hosts_as_the_same_user(where, typed):
    assert where.typed == typed
