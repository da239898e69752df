"""What people read when AWS says no, or is not there."""

from __future__ import annotations

import pytest

from genvx.clouds.aws.account import Account
from genvx.errors import CloudDenied, CloudError, GenvxError, InvalidInput, kind_of
from tests.clouds.aws import CREDENTIALS, stubbed

pytestmark = pytest.mark.usefixtures("my_aws")


def refusal(code, message="", status=400, operation="run_instances", **parameters):
    service = Account("us-east-1").service("ec2")
    parameters = parameters or {"MinCount": 1, "MaxCount": 1}
    with stubbed(service) as stub:
        stub.add_client_error(operation, code, message, status)
        with pytest.raises(GenvxError) as caught:
            service.call(operation, **parameters)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_denied_call_names_the_action_and_who_we_are():
    error = refusal(
        "UnauthorizedOperation",
        "You are not authorized to perform this operation. User: arn:aws:iam::1:user/ann is not "
        "authorized to perform: ec2:RunInstances on resource: arn:aws:ec2:::instance/* because "
        "no policy allows it. Encoded authorization failure message: AbCd",
        403,
    )
    assert isinstance(error, CloudDenied)
    assert kind_of(error) == "cloud"
    assert "ec2:RunInstances for arn:aws:iam::1:user/ann;" in str(error)
    assert "AbCd" not in str(error)


def test_a_denied_call_without_a_reason_names_the_action_of_the_operation():
    assert "allow ec2:RunInstances;" in str(refusal("UnauthorizedOperation", "", 403))


def test_what_comes_from_aws_has_no_control_characters():
    assert "\x1b" not in str(refusal("Strange\x1b[2J", "clear \x1b[2J"))


def test_a_clock_that_is_wrong_is_named_as_the_cause():
    assert "is this clock right?" in str(refusal("RequestTimeTooSkewed", "", 403))


def test_expired_credentials_say_what_renews_them():
    assert "aws sso login" in str(refusal("ExpiredToken", "", 403))


def test_missing_credentials_are_one_line(monkeypatch):
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    with pytest.raises(InvalidInput, match="no credentials for AWS: run aws configure"):
        Account("us-east-1").service("ec2").call("describe_instances")


def test_a_profile_that_is_not_there_is_named():
    with pytest.raises(InvalidInput, match=r"lab.*; profiles are in ~/.aws/config"):
        Account("us-east-1", profile="lab").service("ec2")


def test_without_a_region_genvx_says_where_it_is_written():
    with pytest.raises(InvalidInput, match="write region: us-east-1, or set AWS_REGION"):
        Account().service("ec2")


def test_a_region_or_an_endpoint_that_makes_no_sense_is_refused():
    for account in (Account("us east"), Account("us-east-1", endpoint_url="no url")):
        with pytest.raises(InvalidInput):
            account.service("ec2")


def test_aws_that_does_not_answer_is_no_traceback():
    account = Account("us-east-1", endpoint_url="http://127.0.0.1:9")
    with pytest.raises(CloudError, match="AWS does not answer"):
        account.service("ec2", tries=1).call("describe_instances")


def test_credentials_come_from_a_profile(monkeypatch, tmp_path):
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    file = tmp_path / "AWS_SHARED_CREDENTIALS_FILE"
    file.write_text("[lab]\naws_access_key_id = AKIALAB\naws_secret_access_key = x\n")
    client = Account("us-east-1", profile="lab").service("ec2").client
    assert client._get_credentials().access_key == "AKIALAB"
