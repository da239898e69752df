"""The service of a run: what may be asked for, and its port in a command."""

from __future__ import annotations

import pytest

from genvx.core.runs.service import Service, with_port
from genvx.errors import InvalidInput


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_service_has_a_port_that_there_can_be(port):
    with pytest.raises(InvalidInput, match="--port is a port"):
        Service(port)


@pytest.mark.parametrize(
    "ready", ["health", "http://h/", "/a b", "/a\r\nHost: x", "/\x1b", "/ü", "/" + "a" * 2000]
)
def test_what_is_asked_for_is_a_path(ready):
    with pytest.raises(InvalidInput, match="--ready is a path"):
        Service(0, ready)


def test_a_command_has_the_port_in_place_of_its_mark():
    words = ("serve", "--port", "{port}", "--url=http://h:{port}/{name}")
    assert with_port(words, 80) == ("serve", "--port", "80", "--url=http://h:80/{name}")


def test_a_command_that_serves_on_no_port_keeps_its_words():
    assert with_port(("echo", "{port}"), None) == ("echo", "{port}")
