import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.ssh.config.wildcards import matches, matches_any


@given(st.text("ab*?", max_size=8), st.text("ab\n", max_size=8))
def test_a_pattern_matches_what_its_regular_expression_does(pattern, name):
    expression = pattern.replace("*", ".*").replace("?", ".")
    assert matches(pattern, name) == bool(re.fullmatch(expression, name, re.DOTALL))


def test_stars_without_number_take_no_time():
    """As a regular expression this one takes longer than the universe."""
    assert not matches("*a" * 60 + "b", "a" * 200)


@pytest.mark.parametrize(
    ("patterns", "matched"),
    [
        (["gpu*"], True),
        (["gpu*", "!gpu7"], False),
        (["!gpu8", "gpu?"], True),
        (["!gpu8"], False),
        ([], False),
    ],
)
def test_a_negated_pattern_excludes_and_does_not_include(patterns, matched):
    assert matches_any(patterns, "gpu7") is matched
