"""What errors of botocore mean, in one line that says what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from genvx.core.text import printable
from genvx.errors import CloudDenied, CloudError, GenvxError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_DENIED = {
    "UnauthorizedOperation",
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedAccess",
    "AllAccessDisabled",
    "403",
}
_REFUSED = {
    "AuthFailure",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "OptInRequired",
}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_SKEWED = {"RequestTimeTooSkewed", "InvalidSignatureException"}
_ELSEWHERE = {
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "IncorrectEndpoint",
}
_ARCHIVED = "InvalidObjectState"
_BUSY = {
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "SlowDown",
    "ServiceUnavailable",
}
# They come with the status of what is denied.
_NOT_DENIED = _REFUSED | _EXPIRED | _SKEWED | _ELSEWHERE | {_ARCHIVED}
_ACTION = re.compile(r"not authorized to perform: ([A-Za-z0-9-]{1,40}:[A-Za-z0-9*]{1,80})")
_WHO = re.compile(r"User: (arn:\S{1,300})")
_NO_CREDENTIALS = (
    "no credentials for AWS: run aws configure, or aws sso login, or set AWS_PROFILE, or "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)


class Translating:
    """Within it, errors of botocore become errors of genvx."""

    def __init__(self, service: str, operation: str, actions: Mapping[str, str]) -> None:
        self._of = (service, operation, actions)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        if isinstance(error, (BotoCoreError, ClientError, ResponseParserError)):
            raise translated(error, *self._of) from None


def translated(
    error: Exception, service: str, operation: str, actions: Mapping[str, str]
) -> GenvxError:
    """Return the error of genvx for one of botocore. operation: its name, as "run_instances"."""
    from botocore import exceptions as they
    from botocore.parsers import ResponseParserError

    if isinstance(error, ResponseParserError):
        # Such as the login page of a hotel.
        return CloudError(
            "what answers is not AWS: a proxy, a login page of your network, or another server at "
            "endpoint-url",
            code="unreachable",
        )
    if isinstance(error, they.ClientError):
        return _answered(error, service, operation, actions)
    if isinstance(error, (they.NoCredentialsError, they.CredentialRetrievalError)):
        why = "" if isinstance(error, they.NoCredentialsError) else f" ({_short(error)})"
        return InvalidInput(_NO_CREDENTIALS + why)
    if isinstance(error, they.PartialCredentialsError):
        return InvalidInput(f"half of the credentials for AWS are missing: {_short(error)}")
    # Not by class: which there are differs between versions of botocore.
    if "SSO" in type(error).__name__ or "Token" in type(error).__name__:
        return InvalidInput(f"your login at AWS is over; run aws sso login ({_short(error)})")
    if isinstance(error, they.ProfileNotFound):
        return InvalidInput(f"{_short(error)}; profiles are in ~/.aws/config")
    if isinstance(error, they.NoRegionError):
        return InvalidInput("AWS has regions: write region: us-east-1, or set AWS_REGION")
    if isinstance(error, they.ParamValidationError):
        return InvalidInput(f"AWS would not take this: {_short(error)}")
    if isinstance(error, (they.ConnectionError, they.HTTPClientError)):
        return CloudError(f"AWS does not answer: {_short(error)}", code="unreachable")
    return (
        InvalidInput(_short(error))
        if isinstance(error, (ValueError, they.InvalidRegionError))
        else CloudError(f"AWS: {_short(error)}")
    )


def _answered(error: Any, service: str, operation: str, actions: Mapping[str, str]) -> GenvxError:
    """Return the error for an answer that says no."""
    said = error.response.get("Error", {})
    code, text = str(said.get("Code", "")), str(said.get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    shown = printable(code, 60)
    if code in _DENIED or (status == 403 and code not in _NOT_DENIED):
        found, who = _ACTION.search(text), _WHO.search(text)
        usual = f"{service}:{''.join(word.title() for word in operation.split('_'))}"
        action = found[1] if found else actions.get(operation, usual)
        whom = f" for {printable(who[1], 300)}" if who else ""
        return CloudDenied(
            f"AWS does not allow {action}{whom}; ask the administrator of the account to allow it",
            code=shown,
        )
    if code in _EXPIRED:
        return CloudError(
            f"your credentials for AWS have expired ({shown}); run aws sso login, or renew them",
            code=shown,
        )
    if code in _REFUSED:
        return CloudError(
            f"AWS does not accept these credentials ({shown}: {_cut(text)})", code=shown
        )
    if code in _SKEWED:
        return CloudError(
            f"AWS does not accept this signature; is this clock right? ({shown})", code=shown
        )
    if code in _ELSEWHERE:
        return CloudError(
            f"the bucket is in another region; write its own as region: ({shown})", code=shown
        )
    if code == _ARCHIVED:
        return CloudError(
            f"what is there is archived, as in S3 Glacier; restore it there first ({shown})",
            code=shown,
        )
    if code in _BUSY:
        return CloudError(
            f"AWS has too many requests of this account now ({shown}); try again in a minute",
            code=shown,
        )
    return CloudError(f"AWS: {_cut(text) or 'no reason given'} ({shown})", code=shown)


def _cut(text: str) -> str:
    # It is a kilobyte that only its owner can decode.
    return printable(text.partition(" Encoded authorization failure message")[0], 300).rstrip(".")


def _short(error: Exception) -> str:
    return printable(" ".join(str(error).split()), 300).rstrip(".")
