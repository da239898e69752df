"""Whom people name to be told, and what may be among that."""

from __future__ import annotations

import tomllib

import pytest

from genvx.core.notifying.asked import Configured, read_config
from genvx.core.notifying.message import Message
from genvx.core.notifying.notifier import Event, Way, made
from genvx.errors import InvalidInput

SECRET = "https://hooks.example.org/services/T000/s3cret"
CONFIG = f"""
[notify]
always = ["team"]

[notify.team]
slack = "{SECRET}"
events = ["ended", "idle"]
idle = "30m"

[notify.desk]
command = ["~/bin/told", "-q"]
"""


def read(text: str) -> Configured:
    return read_config(tomllib.loads(text), "config.toml")


def test_names_of_the_file_and_forms_go_together_and_twice_is_once():
    found = read(CONFIG).chosen(["team", "mail:ann@example.org", "desk", "team", SECRET])
    assert [each.label for each in found] == [
        "team (slack at hooks.example.org)",
        "mail:ann@example.org",
        "desk (command:~/bin/told)",
        "webhook at hooks.example.org",
    ]
    assert (found[0].events, found[0].idle) == (("ended", "idle"), 1800.0)


def test_what_is_always_told_is_so_only_if_nothing_is_typed():
    config = read(CONFIG)
    assert [each.way for each in config.chosen(None)] == [Way.SLACK]
    assert config.chosen(["none"]) == ()
    assert Configured().chosen(None) == ()


@pytest.mark.parametrize(
    "text",
    [
        "http://hooks.example.org/s3cret",
        "https://",
        "https://u:s3cret@example.org/",
        "https://example.org/s3cret\nHost: x",
        "https://example.org:s3cret/",
        "slack:ftp://example.org/s3cret",
        "mail:-oQ/tmp@example.org",
        "mail:ann@example.org\nBcc: eve",
        "mail:ann@example.org,eve@example.org",
        "command:told -q",
        "command:/bin/x\0",
        "command:",
        "echo done | mail s3cret",
        "nobody",
        "",
    ],
)
def test_what_is_no_notifier_is_refused_in_words_without_its_secret(text):
    with pytest.raises(InvalidInput) as refused:
        Configured().chosen([text])
    assert str(refused.value).startswith("--notify")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("notif = 1", "unknown key 'notif'"),
        ("[notify]\nalways = ['x']", r"there is no \[notify.x\]"),
        ("[notify.x]\nmail = 'a'\nslack = 'https://a/'", "notify.x needs one of"),
        ("[notify.x]\nmail = 'a'\nevent = []", "unknown key 'event'"),
        ("[notify.x]\nmail = 'a'\nevents = ['all']", "events are ended, turn, ending, idle"),
        ("[notify.x]\nmail = 'a'\nidle = '3'", "'3' has no unit"),
        ("[notify.x]\ncommand = 'told'", "must be a list of texts"),
        ("[notify.none]\nmail = 'a'", "cannot be the name"),
        (f"[notify.x]\nslack = ['{SECRET}']", "notify.x.slack must be text"),
    ],
)
def test_a_mistake_in_the_file_is_refused_in_words_without_its_secret(text, words):
    with pytest.raises(InvalidInput, match=words) as refused:
        read(text)
    assert "s3cret" not in str(refused.value)


def test_a_notifier_shows_no_address():
    notifier = made(Way.WEBHOOK, (SECRET,))
    assert "s3cret" not in f"{notifier!r} {notifier.label} {notifier.public.target}"


def test_a_message_is_one_line():
    message = Message(
        Event.ENDED, "run", "h", "abcd", "train", state="failed", exit_code=3, seconds=7300.0,
        devices=("0", "1"), why="a\nb",
    )  # fmt: skip
    assert message.text == (
        "genvx: run train (abcd) failed with exit code 3 after 2 h 1 min on h, GPU 0, 1: a\\nb"
    )
