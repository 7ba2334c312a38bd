"""A malicious pickle never runs by a command that only looks, nor by a run without its digest."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import checks
from app.cli.check import check
from batchord import SklearnModel
from batchord.core.errors import ConfigurationError
from batchord.settings import Settings
from batchord.sources.sql import SqlSource
from tests.contracts.small_models import digest_of, save_malicious
from tests.integration.checked_files import configure, forgotten, write
from tests.integration.flow_parts import ITEMS, Bench

SOURCE = SqlSource("SELECT id, created_at, length(body) AS rooms FROM records", key="id", arrival="created_at")
OTHER = "sha256:" + "0" * 64


@pytest.fixture
def bench(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Three records; the commands' parts are this test's."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(3)
        monkeypatch.setattr("batchord.wiring.parts", bench.parts)
        monkeypatch.setattr("batchord.wiring.catalog", lambda: bench.parts().catalog)
        yield bench


@pytest.mark.parametrize("trusted", [None, OTHER, "its own"], ids=["none", "wrong", "right"])
def test_a_plan_never_runs_it(bench: Bench, tmp_path: Path, trusted: str | None) -> None:
    """With the right digest, the plan says that the model was not loaded; without, what to do."""
    file = save_malicious(tmp_path / "m.pkl", tmp_path / "proof")
    digest = digest_of(file) if trusted == "its own" else trusted
    bench.declare(SklearnModel(str(file), trust_pickle=digest, features=["rooms"]), source=SOURCE)

    result = CliRunner().invoke(checks.plan, [ITEMS])

    told = " ".join((result.output + str(result.exception or "")).split())
    if trusted == "its own":
        assert result.exit_code == 0, told
        assert "The model was not loaded: its file is a pickle" in told
    else:
        assert isinstance(result.exception, ConfigurationError)
        assert (
            "`batchord convert" if trusted is None else f"trusts {OTHER}, but the file has {digest_of(file)}"
        ) in told
    assert not (tmp_path / "proof").exists()


def test_a_run_fails_for_a_wrong_digest_and_runs_nothing_of_it(bench: Bench, tmp_path: Path) -> None:
    """Its error names both digests."""
    file = save_malicious(tmp_path / "m.pkl", tmp_path / "proof")
    bench.declare(SklearnModel(str(file), trust_pickle=OTHER, features=["rooms"]), source=SOURCE)

    run = bench.run()

    assert run.predicted == 0
    errors = bench.sql("SELECT error FROM batchord.steps WHERE error IS NOT NULL")
    assert [OTHER in error and digest_of(file) in error for (error,) in errors] == [True]
    assert not (tmp_path / "proof").exists()


_FILE = """
a = Pipeline("a", source=SqlSource("SELECT 1 AS id", key="id"), model=SklearnModel("m.pkl"))
b = Pipeline(
    "b",
    source=SqlSource("SELECT 1 AS id", key="id"),
    model=SklearnModel(
        "m.pkl",
        trust_pickle="OTHER",
    ),
)
c = Pipeline("c", source=SqlSource("SELECT 1 AS id", key="id"), model=SklearnModel("m.pkl", trust_pickle="OWN"))
"""


def test_a_check_finds_what_is_not_trusted_and_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without loading any model: the refusal and both digests; the trusted file has no problem."""
    monkeypatch.chdir(tmp_path)
    configure(monkeypatch, Settings())
    file = save_malicious(tmp_path / "m.pkl", tmp_path / "proof")
    with forgotten(tmp_path):
        write("m.py", _FILE.replace("OTHER", OTHER).replace("OWN", digest_of(file)))
        result = CliRunner().invoke(check, [])

    told = " ".join(result.output.split())
    assert result.exit_code == 1
    assert "2 problems in 3 pipelines" in told
    assert "a/predict: m.pkl is pickled (m.pkl), and unpickling runs any code in the file. Convert it:" in told
    assert f"trust_pickle= names another file than m.pkl: it trusts {OTHER}, but the file has {digest_of(file)}" in told
    assert not (tmp_path / "proof").exists()
