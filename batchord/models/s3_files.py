"""Models under an ``s3://`` prefix."""

from pathlib import Path, PurePosixPath

from batchord.core.declared.models import StoredModel
from batchord.core.errors import ConfigurationError, DataError, ModelNotFound
from batchord.models.pickles import PICKLED
from batchord.models.versions import Fingerprint
from batchord.storage.objects import Listed, ObjectChanged, Objects, parse_s3


class S3Files:
    """Lists and downloads models. All methods raise ModelNotFound, ConfigurationError or TransientError."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def fingerprints(self, declared: StoredModel) -> list[Fingerprint]:
        """The fingerprints of the model's files, made of their sizes and ETags.

        These change with the contents, and listing them costs one request for 1,000 files.
        """
        _, files = self._list(declared)
        return _fingerprints(files)

    def download(self, declared: StoredModel, folder: Path) -> list[Fingerprint]:
        """Downloads the model's files into ``folder``. Returns the fingerprints of exactly the downloaded files."""
        bucket, files = self._list(declared)
        for name, listed in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._objects.download(bucket, listed, target)
            except (DataError, ObjectChanged) as error:
                raise ModelNotFound(
                    f"{declared.location} changed while it was downloaded: {error} "
                    "Give each model version a prefix of its own, and start a new run."
                ) from error
        return _fingerprints(files)

    def _list(self, declared: StoredModel) -> tuple[str, dict[str, Listed]]:
        try:
            bucket, path = parse_s3(declared.location)
            exact = not path.endswith("/") and _is_file(declared, PurePosixPath(path))
            prefix = path if exact or not path or path.endswith("/") else f"{path}/"
            listed = self._objects.list(bucket, prefix)
        except ValueError as error:
            raise ConfigurationError(f"The model's location {error}: write s3://bucket/prefix/.") from error
        except DataError as error:
            raise ModelNotFound(f"{declared.location} cannot be listed: {error}") from error
        if exact:
            files = {path.rpartition("/")[2]: item for item in listed if item.key == path}
        else:
            files = {item.key.removeprefix(prefix): item for item in listed if not item.key.endswith("/")}
        declared.check_files(list(files))
        parts = {name: item for name, item in files.items() if declared.is_part(name)}
        for name in parts:
            # A key such as prefix/../../name or prefix//etc/name must not lead out of the folder.
            if not {"", ".", ".."}.isdisjoint(name.split("/")) or not name.isprintable():
                raise ConfigurationError(f"{declared.location} has a key {name!r} that is not a file name: remove it.")
        return bucket, parts


def _fingerprints(files: dict[str, Listed]) -> list[Fingerprint]:
    return [Fingerprint(name, f"{listed.size} {listed.etag}") for name, listed in files.items()]


def _is_file(declared: StoredModel, path: PurePosixPath) -> bool:
    """Whether a location names a single file, and not a prefix: also a pickle that is not trusted, to say so."""
    return declared.is_part(path.name) or path.suffix in PICKLED
