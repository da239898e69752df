"""What a person types before the remote shell is there reaches it, as with ssh -tt."""

from __future__ import annotations

import pexpect
import pytest

from tests.helpers import Terminal, genvx_argv, genvx_env

pytestmark = pytest.mark.needs("openssh", "bash")


@pytest.mark.parametrize("via", ["openssh", "builtin"])
def test_what_is_typed_ahead_reaches_the_shell(sandbox, via):
    terminal = Terminal(genvx_argv("remote", "activate", "-g", "1"), genvx_env(GENVX_TERMINAL=via))
    terminal.paste("exit 7\r")
    assert terminal.end() == 7


@pytest.mark.timeout(120)
@pytest.mark.parametrize("via", ["openssh", "builtin"])
def test_hosts_that_refuse_take_no_key(make_sandbox, via):
    """All see the first two hosts free; each is refused there but one."""
    make_sandbox("1", "1", "4")
    terminals = [
        Terminal(
            genvx_argv("remote", "-t", "60", "activate", "-g", "1"), genvx_env(GENVX_TERMINAL=via)
        )
        for _ in range(4)
    ]
    for terminal in terminals:
        terminal.paste("exit 7\r")
    for terminal in terminals:
        terminal.child.expect(pexpect.EOF, timeout=60)
        terminal.child.close()
        assert terminal.child.exitstatus == 7, terminal.child.before
