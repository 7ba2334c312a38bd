"""Checks locations, which come from data, against the prefixes that the author allows."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from batchord.core.errors import ConfigurationError, DataError
from batchord.core.reasons import Reason
from batchord.core.text.error_text import clause
from batchord.storage.objects import Objects, parse_s3, read_file
from batchord.storage.objects.files import file_path

#: The most characters of a location in a message.
_SHOWN = 200


class _Bucket(NamedTuple):
    bucket: str
    prefix: str


class Allowed:
    """The author's prefixes, parsed once. Raises ConfigurationError for one that cannot be parsed."""

    def __init__(self, prefixes: Sequence[str]) -> None:
        self._prefixes = tuple(prefixes)
        self._buckets: list[_Bucket] = []
        self._folders: list[Path] = []
        for prefix in prefixes:
            try:
                if prefix.startswith("s3://"):
                    self._buckets.append(_Bucket(*parse_s3(prefix)))
                else:
                    self._folders.append(file_path(prefix))
            except ValueError as error:
                raise ConfigurationError(
                    f"allow={prefix!r} of the images is not a prefix: {clause(error)}. Write s3://bucket/prefix/ or file:///folder/."
                ) from error

    def fetch(self, location: str, objects: Objects, *, max_bytes: int) -> bytes:
        """The bytes at ``location``. Raises DataError; its reason is location-not-allowed outside of the prefixes."""
        try:
            if location.startswith("s3://"):
                bucket, key = parse_s3(location)
                # Bucket and key are compared separately: as one text, s3://photos/a would also allow s3://photos/ab.
                if any(self._inside(bucket, key, allowed) for allowed in self._buckets):
                    return objects.get(bucket, key, max_bytes=max_bytes)
            elif location.startswith("file://"):
                return self._file(file_path(location), max_bytes)
        except ValueError as error:
            raise DataError(Reason.LOCATION_NOT_ALLOWED, f"Location {clause(error)}.") from error
        raise DataError(
            Reason.LOCATION_NOT_ALLOWED,
            f"Location {location[:_SHOWN]!r} is outside the prefixes that the pipeline allows "
            f"({', '.join(self._prefixes)}): correct the record, or add its prefix to allow=[…].",
        )

    def prefix_of(self, location: str) -> str:
        """The prefix that the location's text begins with; empty if a file is allowed only because of a link."""
        return next((prefix for prefix in self._prefixes if location.startswith(prefix)), "")

    def listed(self, prefix: str, objects: Objects, *, max_bytes: int) -> Iterator[str]:
        """Locations of objects of 1 to ``max_bytes`` bytes, and of all files, below one of the prefixes.

        Raises DataError, TransientError or ConfigurationError if they cannot be listed.
        """
        if prefix.startswith("s3://"):
            bucket, key = parse_s3(prefix)
            for listed in objects.iterate(bucket, key):
                if 0 < listed.size <= max_bytes:
                    yield f"s3://{bucket}/{listed.key}"
        elif prefix:
            for folder, _, names in os.walk(file_path(prefix)):
                for name in names:
                    yield Path(folder, name).as_uri()

    @staticmethod
    def _inside(bucket: str, key: str, allowed: _Bucket) -> bool:
        return bucket == allowed.bucket and key.startswith(allowed.prefix) and key != allowed.prefix

    def _file(self, path: Path, max_bytes: int) -> bytes:
        outside = DataError(
            Reason.LOCATION_NOT_ALLOWED,
            f"File {str(path)[:_SHOWN]!r} is outside the prefixes that the pipeline allows "
            f"({', '.join(self._prefixes)}).",
        )
        for folder in self._folders:
            try:
                return read_file(path, folder=folder, max_bytes=max_bytes)
            except DataError as error:
                if error.reason != outside.reason:
                    raise
        raise outside
