"""A plan says what a run would fail for: a column that is not there, a model that cannot be loaded."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from app.cli import checks
from batchord import FunctionModel, Images, Model, SklearnModel, TransformersText
from batchord.flow.begin.preview import StepPreview, preview
from batchord.sources.sql import SqlSource
from tests.contracts import small_models
from tests.integration.flow_parts import ITEMS, Bench, length

NUMBERS = SqlSource("SELECT id, created_at, length(body) AS rooms, body FROM records", key="id", arrival="created_at")


@pytest.fixture
def bench(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Three records; the commands' parts are this test's."""
    with Bench(database_url, tmp_path) as bench:
        bench.insert(3)
        monkeypatch.setattr("batchord.wiring.parts", bench.parts)
        monkeypatch.setattr("batchord.wiring.catalog", lambda: bench.parts().catalog)
        yield bench


def regressor(folder: Path, *columns: str) -> str:
    """Where a regressor is stored that was fitted on these columns."""
    from sklearn.linear_model import LinearRegression

    frame = pd.DataFrame({column: [1.0, 2.0, 4.0] for column in columns})
    small_models.save_estimator(folder / "m.skops", LinearRegression().fit(frame, [1.0, 2.0, 3.0]))
    return str(folder / "m.skops")


def planned(bench: Bench, model: Model) -> StepPreview:
    """The plan of a pipeline with this model."""
    bench.declare(model, source=NUMBERS)
    (step,) = preview(bench.parts(), pipeline=ITEMS)
    return step


@pytest.mark.parametrize(
    ("model", "column"),
    [
        (FunctionModel(length, text="bodi"), "bodi"),
        (FunctionModel(length, images=Images(column="photo", allow=["s3://photos/"])), "photo"),
        (FunctionModel(length, text="id"), "id"),
    ],
    ids=["text", "images", "key"],
)
def test_a_plan_names_a_column_that_the_model_reads_in_vain(bench: Bench, model: Model, column: str) -> None:
    """Wrong names, and the key, which no model is given."""
    (problem,) = planned(bench, model).problems

    assert f"the column '{column}'" in problem
    assert bench.run().predicted == 0, "what the plan says is what a run does"


def test_a_plan_checks_features_and_what_an_estimator_was_fitted_on(bench: Bench, tmp_path: Path) -> None:
    """Declared ones come first; else the estimator knows."""
    location = regressor(tmp_path, "rooms")
    good = planned(bench, SklearnModel(location))
    declared = planned(bench, SklearnModel(location, features=["roms"]))
    fitted = planned(bench, SklearnModel(regressor(tmp_path, "rooms", "price", "created_at")))

    assert (good.problems, good.model_loaded, good.records) == ([], True, 3)
    assert ["'roms'" in problem for problem in declared.problems] == [True]
    assert [name in problem for name, problem in zip(("price", "created_at"), fitted.problems, strict=True)] == [
        True
    ] * 2


def test_a_plan_names_types_that_are_not_trusted(bench: Bench, tmp_path: Path) -> None:
    """The author adds them before a run fails; the rest of the plan is there."""
    small_models.save_sklearn_regressor(tmp_path / "tree.skops")

    step = planned(bench, SklearnModel(str(tmp_path / "tree.skops"), features=["rooms"]))

    assert ["trusted=['sklearn.tree._tree.Tree']" in problem for problem in step.problems] == [True]
    assert (step.model_loaded, step.records) == (False, 3)


def test_a_machine_without_libraries_of_models_plans_all_the_same(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line needs none of them: the model is not loaded there, which is no problem of the model's."""
    location = regressor(tmp_path, "rooms")
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)

    step = planned(bench, SklearnModel(location))

    assert (step.problems, step.model_loaded, step.records) == ([], False, 3)
    told = "threadpoolctl is not installed here: pip install 'batchord[sklearn]'"
    assert step.missing_libraries == told
    result = CliRunner().invoke(checks.plan, [ITEMS])
    assert result.exit_code == 0, result.output
    assert told in " ".join(result.output.split())


def test_a_plan_that_found_a_problem_ends_with_1(bench: Bench) -> None:
    """In both forms; one without ends with 0."""
    bench.declare(FunctionModel(length, text="bodi"))
    told, as_json = (CliRunner().invoke(checks.plan, [ITEMS, *more]) for more in ([], ["--json"]))
    bench.declare()
    good = CliRunner().invoke(checks.plan, [ITEMS])

    assert (told.exit_code, as_json.exit_code, good.exit_code) == (1, 1, 0)
    assert "✗ score: The model reads the column 'bodi'" in told.output
    assert "not loaded" not in good.output


def test_a_plan_says_that_it_did_not_load_a_large_model(bench: Bench, tmp_path: Path) -> None:
    """A transformers model takes long, and a worker's memory: its columns are checked all the same."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes(b"{}")
    bench.declare(TransformersText(str(tmp_path), text="body"))

    result = CliRunner().invoke(checks.plan, [ITEMS])

    assert result.exit_code == 0, result.output
    assert "score: The model was not loaded" in result.output
    assert [
        "'bodi'" in problem for problem in planned(bench, TransformersText(str(tmp_path), text="bodi")).problems
    ] == [True]
