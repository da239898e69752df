from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.core.quantities.ages import brief_age, format_age
from genvx.core.quantities.amounts import format_memory, parse_count, parse_memory
from genvx.core.quantities.durations import parse_duration, parse_seconds
from genvx.errors import InvalidQuantity

GIB = 1 << 30


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("40G", 40 * GIB),
        ("40GB", 40 * GIB),
        ("40GiB", 40 * GIB),
        ("40g", 40 * GIB),
        ("0.5t", 512 * GIB),
        ("512 MiB", 512 << 20),
        (" 1k ", 1024),
    ],
)
def test_sizes_are_binary_whatever_their_spelling(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "-1G",
        "0G",
        "40",
        "40 parsecs",
        "1e9G",
        "NaN",
        "9999999T",
        "4 0G",
        "40G; rm -rf",
        "４G\n",
    ],
)
def test_what_is_no_size_is_refused_with_one_printable_line(text):
    with pytest.raises(InvalidQuantity) as caught:
        parse_memory(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1.5s", 1.5),
        ("90s", 90),
        ("30m", 1800),
        ("2h30m", 9000),
        ("1d", 86400),
        ("1:00:00", 3600),
        ("0:30:00", 1800),
        ("100:00:01", 360001),
        ("1-00:00:00", 86400),
        ("2-12", 216000),
        ("1-12:30", 131400),
    ],
)
def test_durations_are_read_as_people_write_them(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-5",
        "1w",
        "m",
        "\x1b[31m",
        "1h 2",
        "2h30",
        "1:00:00:00",
        "1-",
        "1:2h",
        "-1:0:0",
        "0:0:0",
    ],
)
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(InvalidQuantity):
        parse_duration(text)


def test_a_number_alone_is_refused_with_the_units_to_choose_from():
    with pytest.raises(InvalidQuantity, match="'2' has no unit; write 2h, 2m or 2s"):
        parse_duration("2")


def test_what_slurm_and_others_read_differently_is_refused():
    with pytest.raises(InvalidQuantity, match="'2:30' can be read in two ways"):
        parse_duration("2:30")


@pytest.mark.parametrize(("text", "seconds"), [("15", 15), ("0.5", 0.5), ("2m", 120)])
def test_a_number_is_seconds_where_these_are_asked_for(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["-1", "1.5", "", "x", "5000", "٣", "1_0", "+1"])
def test_what_is_no_count_is_refused(text):
    with pytest.raises(InvalidQuantity, match="--gpus"):
        parse_count(text, "--gpus")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (80 * GIB, "80 GiB"),
        (3 * GIB // 2, "1.5 GiB"),
        (512 << 20, "512 MiB"),
        (0, "0 MiB"),
        (None, "?"),
    ],
)
def test_sizes_are_shown_as_nvidia_smi_readers_know_them(size, text):
    assert format_memory(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds ago"),
        (1.9, "1 second ago"),
        (42, "42 seconds ago"),
        (60, "1 minute ago"),
        (7200, "2 hours ago"),
        (86400 * 3, "3 days ago"),
        (-5, "0 seconds ago"),
    ],
)
def test_ages_are_shown_in_their_largest_unit(seconds, text):
    assert format_age(seconds) == text


@given(st.text())
def test_no_text_makes_a_parser_raise_anything_but_invalid_quantity(text):
    for parse in (parse_memory, parse_duration, lambda t: parse_count(t, "n")):
        try:
            parse(text)
        except InvalidQuantity as error:
            assert str(error).isprintable()


@pytest.mark.parametrize(
    ("text", "brief"),
    [
        ("42 seconds ago", "42 s ago"),
        ("1 minute ago", "1 min ago"),
        ("3 days ago", "3 d ago"),
        ("3 days ago at most", "3 days ago at most"),
        ("2026-11-27", "2026-11-27"),
    ],
)
def test_only_an_age_has_a_brief_form(text, brief):
    assert brief_age(text) == brief
