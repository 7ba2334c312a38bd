"""Reads from an S3-compatible store, and writes the logs."""

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import SecretStr

from batchord.core.errors import ConfigurationError, DataError, TransientError
from batchord.core.reasons import Reason
from batchord.core.text.counts import counted
from batchord.processes.per_process import PerProcess
from batchord.storage.objects.failures import RAISED, ObjectChanged, translated
from batchord.storage.objects.names import is_object_name

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        GetObjectOutputTypeDef,
        ListObjectsV2OutputTypeDef,
        ObjectIdentifierTypeDef,
    )

T = TypeVar("T")
_CHUNK = 1 << 20
_CONNECT_SECONDS = 5.0


class Listed(NamedTuple):
    """One object of a listing."""

    key: str
    #: Bytes.
    size: int
    etag: str


class Objects:
    """An S3-compatible store with one client per process. Threads may share it.

    It can be created before a fork: each process creates its client at the first call. ``connections`` should be the
    number of concurrent readers. A request fails if the server does not answer within ``read_seconds``. botocore makes
    ``attempts`` attempts at each request, and we make as many at each body.
    """

    def __init__(
        self,
        *,
        endpoint_url: str | None = None,
        access_key_id: SecretStr | None = None,
        secret_access_key: SecretStr | None = None,
        region: str = "us-east-1",
        connections: int = 16,
        read_seconds: float = 15.0,
        attempts: int = 4,
    ) -> None:
        self._endpoint_url = endpoint_url
        self._secrets: tuple[SecretStr | None, SecretStr | None] = (access_key_id, secret_access_key)
        self._region = region
        self._connections = connections
        self._read_seconds = read_seconds
        self._attempts = attempts
        self._client = PerProcess(self._connect)

    @property
    def store(self) -> str:
        """The store's address, for messages."""
        return self._endpoint_url or f"Amazon S3 ({self._region})"

    def get(self, bucket: str, key: str, *, max_bytes: int) -> bytes:
        """The object's bytes, at most ``max_bytes``.

        Raises DataError (missing-object, forbidden-object, unreadable-object, too-large), TransientError, or
        ConfigurationError if the store refuses the credentials.
        """

        def read(response: "GetObjectOutputTypeDef") -> bytes:
            # The answer holds the size. A HEAD before each GET would double the requests.
            size = response.get("ContentLength")
            if size is not None and size > max_bytes:
                raise _too_large(f"s3://{bucket}/{key}", max_bytes)
            # Without a size (a chunked answer), reading stops one byte beyond the limit.
            data: bytes = response["Body"].read(None if size is not None else max_bytes + 1)
            if len(data) > max_bytes:
                raise _too_large(f"s3://{bucket}/{key}", max_bytes)
            return data

        return self._reading(bucket, key, read)

    def download(self, bucket: str, listed: Listed, target: Path) -> None:
        """Writes the object to ``target``, flushed to the disk.

        Raises the errors of :meth:`get`, and ObjectChanged if the object is not the listed one any more.
        """

        def write(response: "GetObjectOutputTypeDef") -> None:
            size = 0
            with target.open("wb") as file:
                while chunk := response["Body"].read(_CHUNK):
                    size += len(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            if response.get("ETag") != listed.etag or size != listed.size:
                raise ObjectChanged(f"s3://{bucket}/{listed.key} was replaced while it was read: try again.")

        self._reading(bucket, listed.key, write)

    def list(self, bucket: str, prefix: str) -> "list[Listed]":
        """All objects whose keys begin with ``prefix``, sorted by key. Raises the errors of :meth:`get`."""
        return sorted(self.iterate(bucket, prefix))

    def iterate(self, bucket: str, prefix: str) -> Iterator[Listed]:
        """Like :meth:`list`, but page by page with constant memory, in the store's order. Most stores sort by key."""
        for page in self._pages(bucket, prefix):
            for item in page.get("Contents", []):
                yield Listed(item["Key"], item["Size"], item["ETag"])

    def folders(self, bucket: str, prefix: str) -> Iterator[str]:
        """The keys below ``prefix`` up to and with their next ``/``, each once. Otherwise like :meth:`iterate`."""
        for page in self._pages(bucket, prefix, Delimiter="/"):
            for item in page.get("CommonPrefixes", []):
                yield item["Prefix"]

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Writes an object and replaces an existing one. Raises TransientError or ConfigurationError."""
        with self._changing(f"s3://{bucket}/{key}", "s3:PutObject"):
            self._client().put_object(Bucket=bucket, Key=key, Body=data)

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """Deletes up to 1000 objects. A missing object is no error. Raises the errors of :meth:`put`."""
        if not keys:
            return
        what = f"{counted(len(keys), 'object')} such as s3://{bucket}/{keys[0]}"
        with self._changing(what, "s3:DeleteObject"):
            identifiers: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in keys]
            answer = self._client().delete_objects(Bucket=bucket, Delete={"Objects": identifiers, "Quiet": True})
        for failed in answer.get("Errors", []):
            problem = f"{self.store} did not delete s3://{bucket}/{failed.get('Key')}: {failed.get('Code')}"
            if failed.get("Code") == "AccessDenied":
                raise ConfigurationError(f"{problem}. Grant s3:DeleteObject.")
            raise TransientError(f"{problem}. Batchord tries again.")

    def _pages(self, bucket: str, prefix: str, **more: Any) -> "Iterator[ListObjectsV2OutputTypeDef]":
        with self._translating(f"s3://{bucket}/{prefix}"):
            pages = iter(self._client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **more))
        while True:
            # Not around the yield: an error of the code that reads the pages is not the store's.
            with self._translating(f"s3://{bucket}/{prefix}"):
                page = next(pages, None)
            if page is None:
                return
            yield page

    def _reading(self, bucket: str, key: str, use: "Callable[[GetObjectOutputTypeDef], T]") -> T:
        what = f"s3://{bucket}/{key}"
        for attempt in range(1, self._attempts + 1):
            with self._translating(what):
                response = self._client().get_object(Bucket=bucket, Key=key)
            try:
                # botocore retries requests, but not bodies. We retry if the connection ends within a body.
                with self._translating(what), response["Body"]:
                    return use(response)
            except TransientError:
                if attempt == self._attempts:
                    raise
                time.sleep(random.uniform(0.5, 1) * 0.1 * 2**attempt)  # noqa: S311  jitter is no secret
        raise AssertionError("unreachable: the last attempt returns or raises")

    @contextmanager
    def _translating(self, what: str) -> Iterator[None]:
        try:
            yield
        except RAISED as error:
            raise translated(error, what, self.store) from error

    @contextmanager
    def _changing(self, what: str, permission: str) -> Iterator[None]:
        try:
            with self._translating(what):
                yield
        except DataError as error:  # no record is to blame for an object that we write ourselves
            raise ConfigurationError(
                f"{self.store} does not allow a change of {what} ({error.reason}): create the bucket, grant "
                f"{permission}."
            ) from error

    def _connect(self) -> "S3Client":
        import boto3
        from botocore.config import Config

        access_key_id, secret_access_key = (
            None if secret is None else secret.get_secret_value() for secret in self._secrets
        )
        try:
            return boto3.session.Session().client(
                "s3",
                endpoint_url=self._endpoint_url,
                region_name=self._region,
                aws_access_key_id=access_key_id,
                aws_secret_access_key=secret_access_key,
                config=Config(
                    signature_version="s3v4",
                    max_pool_connections=self._connections,
                    connect_timeout=_CONNECT_SECONDS,
                    read_timeout=self._read_seconds,
                    tcp_keepalive=True,
                    retries={"mode": "standard", "total_max_attempts": self._attempts},
                    # Stores other than Amazon's often do not know checksum trailers. We check lengths ourselves.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    # Buckets as host names work only if the store's DNS knows them.
                    s3={"addressing_style": "path" if self._endpoint_url else "auto"},
                ),
            )
        except ValueError as error:
            raise ConfigurationError(
                f"BATCHORD_S3_ENDPOINT_URL={self._endpoint_url!r} cannot be used: {error}"
            ) from error


def parse_s3(url: str) -> tuple[str, str]:
    """The bucket and the key of ``s3://bucket/key``. The key is not percent-decoded.

    Raises ValueError for any other text, and for ``.`` and ``..`` as parts of the key: HTTP clients resolve these, so
    they would read another object.
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not bucket:
        raise ValueError(f"{url!r} is not of the form s3://bucket/key")
    if "\\" in url or not is_object_name(url):
        raise ValueError(f"{url!r} holds a backslash or a control character")
    if {".", ".."} & set(key.split("/")) or bucket in {".", ".."}:
        raise ValueError(f"{url!r} holds '.' or '..' as a part of its path")
    return bucket, key


def _too_large(what: str, max_bytes: int) -> DataError:
    return DataError(
        Reason.TOO_LARGE, f"{what} is larger than {counted(max_bytes, 'byte')}: shrink it, or raise max_bytes."
    )
