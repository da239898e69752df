"""What people read when S3 says no in ways that no server on loopback has."""

from __future__ import annotations

import pytest

from genvx.clouds.s3.bucket import Taken
from genvx.errors import CloudDenied, CloudError, GenvxError
from tests.clouds.aws import stubbed
from tests.clouds.shelves import Made, store_at

pytestmark = pytest.mark.usefixtures("my_aws")


@pytest.fixture
def store(tmp_path):
    return store_at("http://127.0.0.1:9", tmp_path)


def refused(store, act, operation, code, status, message=""):
    """The error of an act whose first request is answered so."""
    with stubbed(store.bucket._service) as stub:
        stub.add_client_error(operation, code, message, status)
        with pytest.raises(GenvxError) as caught:
            act()
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("AccessDenied", 403, "does not allow s3:ListBucket; ask the administrator"),
        ("SlowDown", 503, "too many requests of this account now (SlowDown); try again"),
        ("ServiceUnavailable", 503, "too many requests of this account now"),
        ("RequestTimeTooSkewed", 403, "is this clock right?"),
        ("PermanentRedirect", 301, "the bucket is in another region; write its own as region:"),
        ("AuthorizationHeaderMalformed", 400, "the bucket is in another region"),
        ("InvalidAccessKeyId", 403, "does not accept these credentials (InvalidAccessKeyId"),
        ("SignatureDoesNotMatch", 403, "does not accept these credentials"),
        ("ExpiredToken", 400, "have expired (ExpiredToken); run aws sso login"),
        ("Strange\x1b[2J", 500, "AWS: "),
    ],
)
def test_a_list_that_is_refused_is_one_line(store, code, status, said):
    error = refused(store, store.list, "list_objects_v2", code, status)
    assert isinstance(error, CloudError)
    assert said in str(error)
    assert "\x1b" not in str(error)


def test_a_run_that_is_archived_is_not_called_denied(store):
    error = refused(
        store, lambda: store.bucket.get("x", 9), "get_object", "InvalidObjectState", 403
    )
    assert not isinstance(error, CloudDenied)
    assert "restore it there first" in str(error)


def test_a_push_that_is_denied_names_the_action_that_is_missing(store):
    error = refused(store, lambda: store.bucket.put("x", b""), "put_object", "AccessDenied", 403)
    assert isinstance(error, CloudDenied)
    assert "s3:PutObject" in str(error)


def test_a_bucket_of_somebody_else_is_said_to_be_theirs(store):
    error = refused(store, store.bucket.create, "create_bucket", "BucketAlreadyExists", 409)
    assert "somebody else's; choose another name" in str(error)


@pytest.mark.parametrize(
    ("code", "status"),
    [("ConditionalRequestConflict", 409), ("PreconditionFailed", 412), ("NoSuchKey", 404)],
)
def test_somebody_who_was_there_first_is_noticed(store, code, status):
    with stubbed(store.bucket._service) as stub:
        stub.add_client_error("put_object", code, "", status)
        with pytest.raises(Taken):
            store.bucket.put("x", b"", etag="abc")


def test_a_store_that_knows_no_conditions_is_asked_again_without(store):
    with stubbed(store.bucket._service) as stub:
        stub.add_client_error("put_object", "NotImplemented", "", 501)
        stub.add_response("put_object", {}, {"Bucket": "my-runs", "Key": "lab/runs/x", "Body": b""})
        store.bucket.put("x", b"", new=True)
        stub.assert_no_pending_responses()
    assert not store.bucket.conditional


def test_a_push_that_is_refused_half_way_leaves_no_run(in_bucket, monkeypatch):
    """Throttled at the list of files, which is written last: nothing is listed."""
    real = in_bucket.bucket.put

    def put(key, data, **more):
        if key.startswith("runs/"):
            raise CloudError("too many requests", code="SlowDown")
        return real(key, data, **more)

    monkeypatch.setattr(in_bucket.bucket, "put", put)
    with pytest.raises(CloudError):
        in_bucket.put(Made(files={b"model": b"1"}))
    monkeypatch.undo()
    assert not in_bucket.list()
