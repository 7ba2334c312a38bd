"""`batchord trust` and `batchord convert`: what a pickle would import, and a .skops file instead of it."""

import json
import os
import pickle
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr

from app.cli import convert as convert_module
from app.cli.convert import convert
from app.cli.trust import trust
from app.localstack import Servers
from batchord import SklearnModel
from batchord.core.errors import BatchordError, ConfigurationError
from batchord.models.library import ModelLibrary
from batchord.storage.objects import Objects
from tests.contracts.small_models import digest_of, save_estimator, save_malicious

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_TREE = "sklearn.tree._tree.Tree"
FRAME = pd.DataFrame({"km": [1.0, 2.0, 5.0, 9.0] * 4, "service": ["bike", "car"] * 8})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, without pipelines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def fitted() -> Any:
    """A pipeline over a category and a number, with a type that skops does not trust."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    columns = make_column_transformer((OneHotEncoder(), ["service"]), remainder="passthrough")
    return make_pipeline(columns, RandomForestRegressor(3, random_state=0)).fit(FRAME, FRAME["km"] * 3)


def called(command: Any, *arguments: str, answer: str | None = None) -> Result:
    """The result of a call; an error is Batchord's own."""
    result = CliRunner().invoke(command, list(arguments), input=answer)
    assert isinstance(result.exception, SystemExit | BatchordError | None), result.exception
    return result


def words(result: Result) -> str:
    """The output without its line ends, or the error."""
    return " ".join((result.output + str(result.exception or "")).split())


def test_trust_prints_the_line_and_what_is_imported(folder: Path) -> None:
    """Also of a compressed file; what it prints is what the declaration takes."""
    joblib.dump(fitted(), folder / "m.joblib", compress=3)

    result = called(trust, "m.joblib")
    as_json = json.loads(called(trust, "m.joblib", "--json").output)

    digest = digest_of(folder / "m.joblib")
    assert f'  trust_pickle="{digest}",\n' in result.output
    assert "sklearn.ensemble._forest: RandomForestRegressor" in words(result)
    assert "whoever can write this file runs any code as the worker" in words(result)
    assert "!" not in result.output
    assert (as_json["digest"], as_json["compression"], as_json["incomplete"]) == (digest, "zlib", None)
    assert as_json["imports"]["sklearn.ensemble._forest"] == ["RandomForestRegressor"]
    assert as_json["conspicuous"] == []


def test_trust_runs_nothing_and_shows_what_is_conspicuous(folder: Path) -> None:
    """A call of the system, a name that the pickle computes, and a class of a notebook."""
    save_malicious(folder / "a.pkl", folder / "proof")
    (folder / "b.pkl").write_bytes(b"\x80\x04cos\ngetcwd\n)R\x8c\x06system\x93c__main__\nclean\n.")

    first, second = called(trust, "a.pkl"), called(trust, "b.pkl")

    assert f"! {os.name}.mkdir is nothing that a model's data need" in words(first)
    assert "! ?.system is nothing" in words(second)
    assert "! clean was defined in a notebook or a script: move it" in words(second)
    assert not (folder / "proof").exists()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"a text", "m.pkl is no pickle"),
        (b"", "m.pkl is empty"),
        (b"PK\x03\x04", "m.pkl is a zip file, as .skops files are"),
        (b"\x80\x04\x8c\x09cut", "m.pkl is damaged or cut off"),
        (b"\x1f\x8bno gzip", "m.pkl is damaged or cut off"),
        (b"BZh9cut", "m.pkl is damaged or cut off"),
        (b"\x78\x9ccut", "m.pkl is damaged or cut off"),
    ],
    ids=["text", "empty", "zip", "cut", "gzip", "bz2", "zlib"],
)
def test_what_is_no_pickle_gets_no_line(folder: Path, data: bytes, told: str) -> None:
    """Nobody can trust what cannot be loaded. `convert` says the same."""
    (folder / "m.pkl").write_bytes(data)

    for result in (called(trust, "m.pkl"), called(convert, "m.pkl", "-o", "m.skops", "--trust", digest_of("m.pkl"))):
        assert told in words(result)
        assert "trust_pickle" not in result.output
        assert result.exit_code == 1


def test_a_file_that_is_not_there(folder: Path) -> None:
    """A folder, a path and a location that is none."""
    for location, told in ((str(folder), "is a folder"), ("no.pkl", "No such file"), ("s3://", "s3://bucket/key")):
        assert told in words(called(trust, location))


def test_lz4_is_said_to_be_unread(folder: Path) -> None:
    """Python cannot unpack it, so the list would be empty without a word."""
    (folder / "m.joblib").write_bytes(b"\x04\x22\x4d\x18rest")

    result = called(trust, "m.joblib")

    assert "! The list is not complete: Python unpacks no lz4" in words(result)
    assert digest_of("m.joblib") in result.output


def test_a_store_is_read_as_well(
    folder: Path, servers: Servers, s3: "S3Client", bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By both commands; the model then loads from there, and only with the right digest."""
    file = save_estimator(folder / "m.joblib", fitted())
    s3.upload_file(str(file), bucket, "models/m.joblib")
    assert servers.s3_access_key_id is not None
    assert servers.s3_secret_access_key is not None
    objects = Objects(
        endpoint_url=servers.s3_endpoint_url,
        access_key_id=SecretStr(servers.s3_access_key_id),
        secret_access_key=SecretStr(servers.s3_secret_access_key),
    )
    monkeypatch.setattr("batchord.wiring.objects", lambda: objects)
    location, digest = f"s3://{bucket}/models/m.joblib", digest_of(file)

    assert json.loads(called(trust, location, "--json").output)["digest"] == digest
    told = json.loads(called(convert, location, "-o", "m.skops", "--trust", digest, "--json").output)
    assert (told["kind"], told["trusted"], told["compared"]) == ("Pipeline", [_TREE], ["predict"])

    library = ModelLibrary(home=folder / "home", objects=objects)
    trusted = SklearnModel(location, trust_pickle=digest)
    assert len(library.load(trusted, library.version(trusted)).predict(FRAME)) == len(FRAME)
    wrong = SklearnModel(location, trust_pickle="sha256:" + "0" * 64)
    for refused in (library.load, library.load_at_hand):
        with pytest.raises(ConfigurationError, match=f"the file has {digest}"):
            refused(wrong, library.version(wrong))
    with pytest.raises(ConfigurationError, match=rf"`batchord convert {location} -o m\.skops`"):
        library.version(SklearnModel(location))


def test_convert_writes_what_predicts_the_same(folder: Path) -> None:
    """And prints the declaration with the types that skops does not trust."""
    file = save_estimator(folder / "m.joblib", fitted())
    (folder / "m.skops").touch()

    result = called(convert, "m.joblib", "-o", "m.skops", "--trust", digest_of(file), "--force")

    assert "The same class and parameters, and for 64 made-up records the same predict()." in words(result)
    assert f"SklearnModel('m.skops', trusted=['{_TREE}'])" in result.output
    library = ModelLibrary(home=folder / "home", objects=Objects())
    declared = SklearnModel("m.skops", trusted=[_TREE])
    output = library.load(declared, library.version(declared)).predict(FRAME)
    assert output["score"].tolist() == fitted().predict(FRAME).tolist()


def test_convert_compares_texts(folder: Path) -> None:
    """Of a vectorizer, it makes up texts from its own words."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good film", "bad book"] * 3, ["+", "-"] * 3)
    save_estimator(folder / "m.pkl", model)

    result = called(convert, "m.pkl", "-o", "m.skops", "--trust", digest_of("m.pkl"))

    assert "the same predict(), predict_proba(), decision_function()." in words(result)


def test_convert_asks_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the file imports; no answer is no."""
    save_malicious(folder / "m.pkl", folder / "proof")
    monkeypatch.setattr(convert_module, "_can_ask", lambda: True)

    for answer in ("n\n", "\n"):
        result = called(convert, "m.pkl", "-o", "m.skops", answer=answer)
        assert f"! {os.name}.mkdir" in result.output
        assert "Go on? [y/N]" in result.output
        assert result.exit_code == 1
    assert not (folder / "proof").exists()

    save_estimator(folder / "m.pkl", fitted())
    assert called(convert, "m.pkl", "-o", "m.skops", answer="y\n").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "told", "code"),
    [
        ([], "Nobody can be asked here whether the code of m.pkl may run", 2),
        (["--json"], "Nobody can be asked here", 2),
        (["--trust", "sha256:12"], "--trust needs sha256: and 64 digits", 2),
        (["--trust", "sha256:" + "0" * 64], "--trust names another file than m.pkl: it trusts sha256:000", 1),
    ],
    ids=["pipe", "json", "short", "wrong"],
)
def test_convert_runs_nothing_unasked(folder: Path, arguments: list[str], told: str, code: int) -> None:
    """Where nobody can answer, the digest must stand in the command."""
    save_malicious(folder / "m.pkl", folder / "proof")

    result = called(convert, "m.pkl", "-o", "m.skops", *arguments)

    assert told in words(result)
    assert result.exit_code == code
    assert [path.name for path in folder.iterdir()] == ["m.pkl"]


def test_convert_names_its_file_and_replaces_none(folder: Path) -> None:
    """Before anything is loaded."""
    save_malicious(folder / "m.pkl", folder / "proof")
    (folder / "m.skops").write_text("mine")
    trusted = ["--trust", digest_of("m.pkl")]

    assert "Name the file: batchord convert m.pkl -o m.skops" in words(called(convert, "m.pkl", *trusted))
    assert "-o m.skops" in words(called(convert, "m.pkl", "-o", "m.joblib", *trusted))
    assert "m.skops exists: give --force" in words(called(convert, "m.pkl", "-o", "m.skops", *trusted))
    assert (folder / "m.skops").read_text() == "mine"
    assert not (folder / "proof").exists()


class _Ending:
    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (7,)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"c__main__\nclean\n.", "clean was defined in a notebook or a script: move it from the notebook"),
        (b"cboostlib\nModel\n.", "needs the module boostlib, which is not installed here: pip install boostlib"),
        (pickle.dumps([1]), "holds a list, which has no predict()"),
        (pickle.dumps(_Ending()), "ended with exit code 7: it printed nothing. Nothing was written."),
    ],
    ids=["notebook", "missing", "list", "ends"],
)
def test_convert_says_what_cannot_be_converted(folder: Path, data: bytes, told: str) -> None:
    """With the way out; nothing is written."""
    (folder / "m.pkl").write_bytes(data)

    result = called(convert, "m.pkl", "-o", "m.skops", "--trust", digest_of("m.pkl"))

    assert told in words(result)
    assert [path.name for path in folder.iterdir()] == ["m.pkl"]


_ALONG = """
import os
from sklearn.base import BaseEstimator, RegressorMixin

class Seen(RegressorMixin, BaseEstimator):
    def predict(self, frame):
        return [float(len(frame))]

    def __setstate__(self, state):
        with open(r"SEEN", "w") as file:
            file.write("\\n".join([os.getcwd(), *sorted(os.environ)]))
        super().__setstate__(state)
"""


def test_the_process_of_a_conversion_has_no_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class beside the pipelines is found; it sees an empty home and few variables."""
    (folder / "pipelines").mkdir()
    (folder / "pipelines" / "seen_estimator.py").write_text(_ALONG.replace("SEEN", str(folder / "seen")))
    monkeypatch.syspath_prepend(str(folder / "pipelines"))
    module = import_module("seen_estimator")
    save_estimator(folder / "m.pkl", module.Seen())
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(folder / "pipelines")])
    monkeypatch.setenv("BATCHORD_DATABASE_URL", "postgresql://ledger:secret@localhost/ledger")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    result = called(convert, "m.pkl", "-o", "m.skops", "--trust", digest_of("m.pkl"))

    assert "trusted=['seen_estimator.Seen']" in result.output
    assert "! The same class and parameters. Predictions were not compared: it does not say" in words(result)
    place, *variables = (folder / "seen").read_text().splitlines()
    assert place != str(folder)
    assert not [name for name in variables if name.startswith(("BATCHORD_", "AWS_")) or "SECRET" in name]
    assert not Path(place).exists()
