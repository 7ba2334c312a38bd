"""Models in S3: downloaded once, checked, and used without the store afterwards."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from pydantic import SecretStr

from app.localstack import Servers
from batchord import SklearnModel, TransformersText
from batchord.core.errors import ConfigurationError, ModelNotFound
from batchord.models.library import ModelLibrary
from batchord.storage.objects import Objects
from tests.contracts import small_models

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.torch

_FRAME = pd.DataFrame({"body": ["a good film", "an awful book"]}, index=[1, 2])
_NOWHERE = "http://127.0.0.1:1"


def library(home: Path, objects: Objects | None = None) -> ModelLibrary:
    """A library that reaches no store unless it is given one."""
    away = Objects(endpoint_url=_NOWHERE, access_key_id=SecretStr("k"), secret_access_key=SecretStr("s"), attempts=1)
    return ModelLibrary(home=home, objects=objects or away, hub_url=_NOWHERE)


@pytest.fixture
def objects(servers: Servers) -> Objects:
    """The local store."""
    assert servers.s3_secret_access_key is not None
    assert servers.s3_access_key_id is not None
    return Objects(
        endpoint_url=servers.s3_endpoint_url,
        access_key_id=SecretStr(servers.s3_access_key_id),
        secret_access_key=SecretStr(servers.s3_secret_access_key),
    )


@pytest.fixture
def upload(s3: "S3Client", bucket: str) -> Callable[[Path, str], str]:
    """Puts a folder under a prefix and returns its location."""

    def put(folder: Path, prefix: str) -> str:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                s3.upload_file(str(file), bucket, f"{prefix}/{file.relative_to(folder).as_posix()}")
        return f"s3://{bucket}/{prefix}"

    return put


def test_a_model_in_s3_is_downloaded_once_and_then_needs_no_store(
    tmp_path: Path, objects: Objects, upload: Callable[[Path, str], str]
) -> None:
    """After the first worker's download the store may be away."""
    location = upload(small_models.save_text_classifier(tmp_path / "made"), "models/mood/7")
    declared = TransformersText(location, text="body")
    models = library(tmp_path / "home", objects)
    version = models.version(declared)

    first = models.load(declared, version).predict(_FRAME)
    offline = library(tmp_path / "home").load(declared, version).predict(_FRAME)

    assert version.startswith("mood-7@")
    pd.testing.assert_frame_equal(offline, first)


def test_downloads_at_the_same_time_do_not_disturb_each_other(
    tmp_path: Path, objects: Objects, upload: Callable[[Path, str], str]
) -> None:
    """Workers that start together share one folder, which appears complete."""
    location = upload(small_models.save_sklearn_classifier(tmp_path / "made" / "mood.skops").parent, "mood/1")
    declared = SklearnModel(location, text="body")
    version = library(tmp_path, objects).version(declared)

    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: library(tmp_path / "home", objects).load(declared, version), range(4)))

    assert {each.version for each in loaded} == {version}
    assert [path.name for path in (tmp_path / "home" / "models").iterdir() if not path.name.startswith(".")] == [
        version.partition("+")[0]
    ]


def test_a_damaged_download_is_brought_again(
    tmp_path: Path, objects: Objects, upload: Callable[[Path, str], str]
) -> None:
    """A file that a power failure cut off is downloaded again, so the workers still start."""
    location = upload(small_models.save_text_classifier(tmp_path / "made"), "mood/1")
    declared = TransformersText(location, text="body")
    version = library(tmp_path, objects).version(declared)
    library(tmp_path / "home", objects).load(declared, version)
    (weights,) = (tmp_path / "home").rglob("model.safetensors")
    weights.write_bytes(b"")

    assert library(tmp_path / "home", objects).load(declared, version).predict(_FRAME).shape == (2, 3)


def test_a_replaced_model_in_s3_is_refused(
    tmp_path: Path, objects: Objects, upload: Callable[[Path, str], str]
) -> None:
    """An overwritten version cannot be loaded any more, and no other version is used in its place."""
    made = tmp_path / "made"
    declared = TransformersText(upload(small_models.save_text_classifier(made), "mood/1"), text="body")
    pinned = library(tmp_path, objects).version(declared)
    upload(small_models.save_text_classifier(made, seed=1), "mood/1")

    with pytest.raises(ModelNotFound, match="Start a new run"):
        library(tmp_path / "home", objects).load(declared, pinned)
    assert not list((tmp_path / "home").rglob("*.safetensors"))


def test_one_file_in_s3_is_a_model(tmp_path: Path, objects: Objects, upload: Callable[[Path, str], str]) -> None:
    """A ``.skops`` file may be named itself, with others beside it."""
    for name in ("mood", "other"):
        small_models.save_sklearn_classifier(tmp_path / "made" / f"{name}.skops")
    folder = upload(tmp_path / "made", "skops")
    models = library(tmp_path, objects)
    declared = SklearnModel(f"{folder}/mood.skops", text="body")

    assert len(models.load(declared, models.version(declared)).predict(_FRAME)) == 2
    with pytest.raises(ConfigurationError, match=r"2 \.skops files \(mood\.skops, other\.skops\)"):
        models.version(SklearnModel(folder, text="body"))


def test_an_empty_prefix_holds_no_model(tmp_path: Path, objects: Objects, bucket: str) -> None:
    """Named with what is missing; so is a bucket that does not exist."""
    with pytest.raises(ModelNotFound, match=r"s3://.*/none holds no model.*no file"):
        library(tmp_path, objects).version(TransformersText(f"s3://{bucket}/none", text="body"))
    with pytest.raises(ModelNotFound, match="NoSuchBucket"):
        library(tmp_path, objects).version(TransformersText("s3://no-such-bucket-here/none", text="body"))
