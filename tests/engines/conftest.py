"""Clusters on hosts over SSH."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import run_genvx


@pytest.fixture
def hosts(make_sandbox):
    """Two hosts with two GPUs each; no cluster lives on behind the test."""
    yield make_sandbox("2", "2")
    run_genvx("remote", "runs", "stop", "--force", "--all")


@pytest.fixture
def python():
    """The virtual environment of the tests, as --python takes it."""
    return str(Path(sys.executable).parent.parent)
