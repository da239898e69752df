"""What is shown: on one line, of bounded length, whatever it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from genvx.core.text import printable


@given(st.text(st.characters(), max_size=400), st.integers(1, 300))
def test_whatever_is_shown_is_printable_and_no_longer_than_its_limit(text, limit):
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit


@given(st.text(max_size=100))
def test_what_is_printable_and_short_is_shown_as_it_is(text):
    assert (printable(text, 100) == text) == text.isprintable()
