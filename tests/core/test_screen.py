"""What a program has changed of a terminal, and its output for a viewer that comes later."""

from __future__ import annotations

import pyte
import pytest

from genvx.core.screen import Screen, shown_again

FULL = b"\x1b[?1049h\x1b[?2004h\x1b[?25lfull screen"


def screen_of(*parts: bytes) -> Screen:
    screen = Screen()
    for part in parts:
        screen.feed(part)
    return screen


def test_text_leaves_nothing_to_undo():
    assert screen_of(b"hello\r\n").undo() == b""


@pytest.mark.parametrize("cut", range(1, len(FULL)))
def test_what_is_changed_is_known_wherever_the_output_is_cut(cut):
    screen = screen_of(FULL[:cut], FULL[cut:])
    assert screen.alternate
    assert screen.again() == b"\x1b[?2004h\x1b[?25l"
    undone = screen.undo()
    for back in (b"\x1b[?1049l", b"\x1b[?2004l", b"\x1b[?25h"):
        assert back in undone
    assert not screen_of(FULL, undone).alternate


def test_output_that_is_shown_again_asks_the_terminal_nothing():
    questions = (
        b"\x1b[c\x1b[>c\x1b[0c\x1b[6n\x1b[?6n\x1b[5n\x1b[?2026$p\x1b[>0q\x1b[?u\x05\x1bZ"
        b"\x1b]11;?\x07\x1b]4;1;?\x1b\\\x1b]52;c;?\x07\x1bP+q544e\x1b\\\x1bP$qm\x1b\\"
        b"\x1b[18t\x1b[14;2t"
    )
    kept = b"a\x1b[31mred\x1b[0m\x1b[2J\x1b[8;24;80t\x1b]0;is it?\x07"
    assert shown_again(questions + kept, Screen(), cut=False) == kept


def test_it_begins_with_a_line_if_something_came_before():
    tail = "…f\r\nsecond".encode()[1:]
    assert shown_again(tail, Screen(), cut=True) == b"second"


def test_what_was_on_another_screen_is_not_shown_on_this_one():
    tail = b"\x1b[5;5Hof an editor\x1b[?1049l$ after"
    assert shown_again(tail, Screen(), cut=False) == b"$ after"


def test_a_viewer_that_comes_during_a_full_screen_program_gets_that_screen():
    began = b"$ vi\r\n" + FULL
    again = shown_again(b"text of it", screen_of(began, b"text of it"), cut=True)
    terminal = pyte.Screen(80, 24)
    pyte.ByteStream(terminal).feed(again)
    assert again.startswith(b"\x1b[?1049h")
    assert terminal.display[0].startswith("text of it")
    assert terminal.cursor.hidden
