"""When the command of a run starts again."""

from __future__ import annotations

from genvx.core.runs.run import End, Moment
from genvx.local.runs.retries import Retries


def end(code=1, seconds=0):
    return End(Moment(0, 0), Moment(0, seconds * 10**9), code=code)


def test_the_first_retry_is_at_once_and_the_next_pauses_double_up_to_a_minute():
    retries = Retries(10)
    pauses = [retries.pause_after(end()) for _ in range(10)]
    assert pauses == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_there_are_no_more_retries_than_were_asked_for():
    retries = Retries(1)
    assert [retries.pause_after(end()), retries.pause_after(end())] == [0, None]


def test_a_command_that_ended_well_does_not_start_again():
    assert Retries(1).pause_after(end(0)) is None


def test_a_failure_after_a_minute_is_a_first_one_again():
    retries = Retries(9)
    pauses = [retries.pause_after(end(seconds=each)) for each in (0, 0, 0, 60, 0, 0)]
    assert pauses == [0, 1, 2, 0, 0, 1]
