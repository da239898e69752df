"""What a grant says of itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from genvx.core.leases.claim import Owner
from genvx.core.leases.grant import Grant


def grant(name):
    return Grant("abcd1234", name, Owner(1, "u"), (), None)


@given(st.text(max_size=128), st.text(max_size=60))
def test_the_mark_of_a_prompt_has_nothing_that_a_shell_expands(name, host):
    mark = grant(name).mark(host)
    assert not set(mark) & set("$`\\!%^'\"*?[]{}~;&|<>#\n\r\t\x1b")
    assert mark.count("(") == mark.count(")") == 1
    assert mark.endswith(" ")


def test_the_mark_of_a_prompt_says_the_name_and_the_host():
    assert grant("").mark() == "(genvx) "
    assert grant("train 3").mark("gpu-server-1") == "(genvx train 3) gpu-server-1 "
    assert grant("a" * 60).mark() == f"(genvx {'a' * 24}) "
