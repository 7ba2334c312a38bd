"""Translates botocore's errors into Batchord's: is the object, the configuration or the store to blame?"""

from botocore import exceptions as boto

from batchord.core.errors import BatchordError, ConfigurationError, DataError, TransientError
from batchord.core.reasons import Reason


class ObjectChanged(BatchordError):
    """An object is not the one that was listed: somebody has replaced it."""


#: Codes that mean that our credentials, region or clock are wrong. No object can be read with them.
_OURS = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "PermanentRedirect",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
#: Codes of errors that pass by themselves although their status is not a 5xx.
_PASSING = frozenset({"OperationAborted", "RequestTimeout", "SlowDown", "Throttling", "ThrottlingException"})
_MISSING = frozenset({"NoSuchBucket", "NoSuchKey", "NoSuchVersion"})
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
)
_MISCONFIGURED = (
    boto.NoRegionError,
    boto.ParamValidationError,
    boto.ValidationError,
    boto.InvalidS3AddressingStyleError,
)

_STATUS_FORBIDDEN, _STATUS_MISSING, _STATUS_BUSY, _STATUS_SERVER = 403, 404, 429, 500

#: All errors that a call of the client, or reading a body, may raise.
RAISED = (boto.BotoCoreError, boto.ClientError, boto.HTTPClientError, boto.IncompleteReadError, OSError)


def translated(error: Exception, what: str, store: str) -> BatchordError:
    """The error to raise instead of ``error``, which botocore raised while ``what`` was read from ``store``."""
    if isinstance(error, boto.ClientError):
        return _from_answer(error, what, store)
    if isinstance(error, _NO_CREDENTIALS):
        return ConfigurationError(
            f"No complete credentials for {store} were found while reading {what}: set "
            "BATCHORD_S3_ACCESS_KEY_ID and BATCHORD_S3_SECRET_ACCESS_KEY, or configure AWS credentials."
        )
    if isinstance(error, _MISCONFIGURED) or (isinstance(error, ValueError) and not isinstance(error, OSError)):
        return ConfigurationError(f"{what} cannot be requested: {error} Check the location and BATCHORD_S3_REGION.")
    return TransientError(
        f"{store} did not deliver {what}: {type(error).__name__}: {error} "
        "Batchord tries again. If this goes on, check the store and BATCHORD_S3_ENDPOINT_URL."
    )


def _from_answer(error: "boto.ClientError", what: str, store: str) -> BatchordError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _OURS:
        return ConfigurationError(
            f"{store} refuses our request for {what} ({code}): check BATCHORD_S3_ACCESS_KEY_ID, "
            "BATCHORD_S3_SECRET_ACCESS_KEY, BATCHORD_S3_REGION and this machine's clock."
        )
    if code in _PASSING or status == _STATUS_BUSY or status >= _STATUS_SERVER:
        return TransientError(
            f"{store} is overloaded or failing ({code}, status {status}) at {what}. Batchord tries again later."
        )
    if code in _MISSING or status == _STATUS_MISSING:
        return DataError(Reason.MISSING_OBJECT, f"{what} does not exist ({code}): upload it or correct the location.")
    if status == _STATUS_FORBIDDEN and code != "InvalidObjectState":
        return DataError(Reason.FORBIDDEN_OBJECT, f"{what} may not be read ({code}): grant s3:GetObject on it.")
    return DataError(Reason.UNREADABLE_OBJECT, f"{store} does not deliver {what}: {code or status}.")
