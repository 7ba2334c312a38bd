"""The examples run as their page says, and each is better than the result without a model."""

import importlib.util
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from batchord import SklearnModel
from batchord.catalog import Catalog
from batchord.models.skops_import import import_skops
from tests.reader import ROOT, Reader, code_block

PAGE = "examples/README.md"
#: Of the settings: a reader with a database of their own has one role.
_OTHER_ROLES = ("_AUTHOR_URL", "_SOURCE_URL", "_OWNER_URL", "_ADMIN_URL")


@pytest.fixture
def reader(tmp_path: Path, empty_database_url: str, settings_env: dict[str, str]) -> Reader:
    """Somebody with a copy of the examples and an empty database."""
    folder = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", folder, ignore=shutil.ignore_patterns("*.skops", "*.npz", "__pycache__"))
    one_role = {name: value for name, value in settings_env.items() if not name.endswith(_OTHER_ROLES)}
    return Reader(folder, empty_database_url, one_role | {"BATCHORD_DATABASE_URL": empty_database_url})


@pytest.fixture
def recommend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The pipeline file as a module, in a folder with factors of six items in two groups."""
    monkeypatch.chdir(tmp_path)
    file = ROOT / "examples/recommend/pipelines/recommend.py"
    spec = importlib.util.spec_from_file_location("example_recommend", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "example_recommend", module)
    spec.loader.exec_module(module)
    np.savez(
        module.FACTORS,
        item_ids=np.array([10, 11, 12, 20, 21, 22]),
        factors=np.array([[1, 0], [0.9, 0], [0.8, 0], [0, 1], [0, 0.9], [0, 0.8]], dtype=np.float32),
        popularity=np.array([5, 1, 2, 9, 3, 4], dtype=np.float32),
    )
    return module


def _numbers(text: str) -> list[float]:
    """What train.py says of each way to predict, the model first."""
    return [
        float(number)
        for number in re.findall(r"^  (?:model|same hour|most popular)[a-z ]* ([\d.]+)$", text, re.MULTILINE)
    ]


def _by_hand(reader: Reader) -> dict[str, float]:
    """What the forecast's model says of the records of its pipeline, without Batchord."""
    (step,) = Catalog(reader.folder / "forecast" / "pipelines").get("demand").predict_steps
    declared = step.declared_model
    assert isinstance(declared, SklearnModel)
    assert declared.features is not None
    model = import_skops().load(reader.folder / "forecast" / declared.location, trusted=list(declared.trusted))
    columns = ["id", *declared.features]
    rows = reader.sql(f"SELECT {', '.join(columns)} FROM ({step.source.sql}) AS given")  # noqa: S608 -- the example's own
    hours = pd.DataFrame(rows, columns=columns)
    return dict(zip(hours["id"].astype(str), model.predict(hours[columns[1:]]), strict=True))


@pytest.mark.parametrize(("example", "pipeline"), [("forecast", "demand"), ("recommend", "recommend")])
def test_the_pipeline_files_load_before_anything_is_trained(example: str, pipeline: str) -> None:
    """Beat and the command line read them on machines without model files."""
    catalog = Catalog(ROOT / "examples" / example / "pipelines")

    assert catalog.problems == []
    assert catalog.names() == [pipeline]


def test_the_forecast_runs_as_written_and_beats_the_week_before(reader: Reader) -> None:
    """Each run forecasts the hours that came since; over days that no fit has seen it errs less than last week's.

    A new station has a forecast, too: all its lags are NULL, even in a batch of its own, and this model takes that.
    Over 30 seconds on a busy machine: it is what a reader does, a whole stack and two fits included.
    """
    said = reader.shell(code_block(PAGE, "cd forecast", "bash")).stdout

    model, week, day = _numbers(said)
    assert model < 0.75 * min(week, day)
    assert [model, week, day] == pytest.approx(_numbers(code_block(PAGE, "same hour today", "text")), rel=0.05)
    assert re.findall(r"discovered (\d+) = predicted (\d+)", said) == [("192", "192")] * 2
    assert re.search(r"demand +384 +384 +0 +0 +0 +0 +clean", said)
    ((hours, error, week_error),) = reader.sql(code_block(PAGE, "error_of_last_week", "sql"))
    assert hours == 192
    assert error < 0.9 * week_error
    assert dict(
        reader.sql("SELECT record_key, score FROM batchord.predictions WHERE pipeline = 'demand'")
    ) == pytest.approx(_by_hand(reader), rel=1e-9)

    reader.sql("INSERT INTO station_hours (station_id, hour, trips) VALUES (99, '2026-05-02 00:00+00', 7)")
    said = reader.shell("cd forecast\nbatchord run demand --local").stdout

    assert "discovered 1 = predicted 1 + rejected 0" in said


def test_the_recommendation_runs_as_written_and_beats_the_popular(reader: Reader) -> None:
    """Each run takes the sessions that ended since; a returning user has a new list; nothing had is offered."""
    said = reader.shell(code_block(PAGE, "cd recommend", "bash")).stdout

    model, popular = _numbers(said)
    assert model > 2 * popular
    assert [model, popular] == pytest.approx(_numbers(code_block(PAGE, "most popular", "text")), abs=0.02)
    assert re.findall(r"discovered (\d+) = predicted (\d+)", said) == [("200", "200"), ("20", "20")]
    assert re.search(r"recommend +220 +220 +0 +0 +0 +0 +clean", said)
    newest = reader.sql(code_block(PAGE, "DISTINCT ON (s.user_id)", "sql"))
    ((users,),) = reader.sql("SELECT count(DISTINCT user_id) FROM sessions WHERE ended_at >= '2026-05-01 00:00+00'")
    assert len(newest) == users < 220
    had: dict[int, set[int]] = {}
    for user, items in reader.sql("SELECT user_id, item_ids FROM sessions"):
        had.setdefault(user, set()).update(items)
    for user, label, items, _ in newest:
        assert (len(set(items)), label) == (10, str(items[0]))
        assert not had[user] & set(items)


def test_a_list_has_the_nearest_items_that_the_user_has_not_had(recommend: ModuleType) -> None:
    """Best first, each with its score, and in the frame's own order."""
    frame = pd.DataFrame({"user_id": [1, 2], "item_ids": [[10], [20, 21]]}, index=pd.Index([7, 5], name="id"))

    offered = recommend.recommend(frame)

    assert offered.index.equals(frame.index)
    assert offered["label"].tolist() == ["11", "22"]
    assert offered.loc[7, "items"] == [11, 12, 20, 21, 22]
    assert offered.loc[7, "scores"] == pytest.approx([0.9, 0.8, 0, 0, 0], abs=1e-4)


def test_users_of_whom_nothing_is_known_get_what_is_popular(recommend: ModuleType) -> None:
    """With items newer than the fit, with none, and with NULL."""
    frame = pd.DataFrame({"item_ids": [[99], [], None]})

    offered = recommend.recommend(frame)

    assert offered["items"].tolist() == [[20, 10, 22, 21, 12, 11]] * 3


def test_a_user_who_has_had_everything_is_offered_nothing(recommend: ModuleType) -> None:
    """An empty list and no label; the others of the batch have theirs."""
    frame = pd.DataFrame({"item_ids": [[10, 11, 12, 20, 21, 22], [10, 11, 12, 20, 21]]})

    offered = recommend.recommend(frame)

    assert offered["items"].tolist() == [[], [22]]
    assert offered["label"].isna().tolist() == [True, False]


def test_a_batch_changes_nothing_and_the_factors_are_read_once(recommend: ModuleType) -> None:
    """Two thousand rows at once are as each alone, with one reading of the file."""
    random = np.random.default_rng(0)
    lists = [
        random.choice([10, 11, 12, 20, 21, 22, 99], random.integers(5), replace=False).tolist() for _ in range(2000)
    ]
    frame = pd.DataFrame({"item_ids": lists})

    together = recommend.recommend(frame)
    alone = pd.concat([recommend.recommend(frame.iloc[[row]]) for row in range(0, 2000, 40)])

    pd.testing.assert_frame_equal(together.iloc[::40], alone)
    assert recommend.fitted.cache_info().misses == 1


def test_links_of_the_page_lead_somewhere() -> None:
    """Files exist, and so do the headings that links name."""
    page = ROOT / PAGE
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text("utf-8")):
        linked = (page.parent / target).resolve() if target else page
        assert linked.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
