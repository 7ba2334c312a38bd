"""Models under an ``s3://`` prefix."""

from pathlib import Path

from batchord.core.declared.models import StoredModel
from batchord.core.errors import ConfigurationError, DataError, ModelNotFound
from batchord.models.versions import Fingerprint
from batchord.storage.objects import Listed, ObjectChanged, Objects, parse_s3


class S3Files:
    """Lists and downloads models. All methods raise ModelNotFound, ConfigurationError or TransientError."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def fingerprints(self, declared: StoredModel) -> list[Fingerprint]:
        """Sizes and ETags stand for the contents: they change with them, and cost one request per 1,000 files."""
        _, files = self._list(declared)
        return [Fingerprint(name, f"{each.size} {each.etag}") for name, each in files.items()]

    def download(self, declared: StoredModel, folder: Path) -> list[Fingerprint]:
        """Writes the model's files into ``folder`` and returns the fingerprints of exactly what was written."""
        bucket, files = self._list(declared)
        for name, each in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._objects.download(bucket, each, target)
            except (DataError, ObjectChanged) as error:
                raise ModelNotFound(
                    f"{declared.location} changed while it was downloaded: {error} "
                    "Give each model version a prefix of its own, and start a new run."
                ) from error
        return [Fingerprint(name, f"{each.size} {each.etag}") for name, each in files.items()]

    def _list(self, declared: StoredModel) -> tuple[str, dict[str, Listed]]:
        try:
            bucket, path = parse_s3(declared.location)
            exact = path.endswith(".skops")
            prefix = path if exact or not path or path.endswith("/") else f"{path}/"
            listed = self._objects.list(bucket, prefix)
        except ValueError as error:
            raise ConfigurationError(f"The model's location {error}: write s3://bucket/prefix/.") from error
        except DataError as error:
            raise ModelNotFound(f"{declared.location} cannot be listed: {error}") from error
        if exact:
            found = {path.rpartition("/")[2]: each for each in listed if each.key == path}
        else:
            found = {each.key.removeprefix(prefix): each for each in listed if not each.key.endswith("/")}
        declared.check_files(list(found))
        parts = {name: each for name, each in found.items() if declared.is_part(name)}
        for name in parts:
            # A key such as prefix/../../name or prefix//etc/name must not lead out of the folder.
            if not {"", ".", ".."}.isdisjoint(name.split("/")) or not name.isprintable():
                raise ConfigurationError(f"{declared.location} has a key {name!r} that is not a file name: remove it.")
        return bucket, parts
