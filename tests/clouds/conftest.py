"""One cloud on loopback for all tests of a worker, as it is before anything was started there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clouds.aws import CREDENTIALS, Pretended
from torture.pretendcloud import forget, served


@pytest.fixture(scope="session")
def pretended(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    directory = tmp_path_factory.mktemp("cloud")
    with served(directory) as url:
        yield url, directory


@pytest.fixture
def my_aws(monkeypatch, tmp_path) -> None:
    """Credentials of a test, and none of whoever runs it."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def cloud(pretended, my_aws) -> Pretended:
    forget(*pretended)
    return Pretended(*pretended)


@pytest.fixture
def in_bucket(request, tmp_path):
    """A shelf in a bucket; $GENVX_TEST_S3_ENDPOINT is a store in place of the one on loopback, for
    which boto3 finds credentials.
    """
    from tests.clouds.shelves import store_at

    real = os.environ.get("GENVX_TEST_S3_ENDPOINT")
    if real:
        store = store_at(real, tmp_path, f"genvx-test-{secrets.token_hex(6)}", keys=None)
    else:
        store = store_at(request.getfixturevalue("cloud").url, tmp_path)
    store.bucket.create()
    yield store
    if real:
        store.bucket.remove(each.key for each in store.bucket.everything())
