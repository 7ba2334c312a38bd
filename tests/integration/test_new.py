"""`batchord new` writes files that run as they stand."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchord.core.errors import BatchordError
from batchord.core.run.runs import RunState
from tests.contracts import small_models
from tests.integration.drafts import Author, author


@pytest.fixture
def person(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Author]:
    """See :func:`.drafts.author`."""
    with author(database_url, tmp_path, monkeypatch) as person:
        yield person


def outcomes(person: Author, name: str) -> dict[str, str]:
    """The label, the rounded score or the reason of the rejection of each record."""
    return dict(
        person.bench.sql(
            "SELECT record_key, coalesce(label, round(score)::text) FROM batchord.predictions WHERE pipeline = %s "
            "UNION ALL SELECT record_key, reason FROM batchord.rejections WHERE pipeline = %s",
            name,
            name,
        )
    )


def files(folder: Path) -> list[str]:
    """The names in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("function", {"1": "pleased", "2": "not pleased", "3": "empty-text"}),
        ("sklearn", {"1": "stays", "2": "leaves", "3": "stays"}),
        ("image", {"dark.png": "33", "bright.png": "223", "green.png": "121"}),
    ],
)
def test_a_draft_runs_as_it_stands(
    person: Author, kind: str, expected: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """On an empty database. A second run finds nothing new, and nothing is complained about."""
    caplog.set_level(logging.WARNING)
    told = person.draft("my-first", "--kind", kind)

    runs = [person.run("my-first") for _ in range(3)]

    assert [run.state for run in runs] == [RunState.SUCCEEDED] * 3
    assert [run.discovered for run in runs] == [3, 0, 0]
    assert outcomes(person, "my-first") == expected
    assert caplog.messages == []
    assert all(Path(file).is_file() for file in told["files"])
    assert (told["missing_extras"], told["place_for_model"]) == ([], None)
    person.assert_formatted()


@pytest.mark.torch
def test_a_draft_for_transformers_needs_a_model(person: Author, tmp_path: Path) -> None:
    """Without one, a run says where it is missing; with ``--model`` it runs."""
    small_models.save_text_classifier(tmp_path / "models" / "mood")
    placed = person.draft("later", "--kind", "text")
    missing = person.run("later")
    (person.folder / "later.py").unlink()
    told = person.draft("now", "--kind", "text", "--model", "models/mood")

    run = person.run("now")

    assert placed["place_for_model"] == "models/later/1"
    assert missing.state is RunState.FAILED
    assert "'models/later/1' does not exist on this machine" in str(missing.error)
    assert told["place_for_model"] is None
    assert (run.state, run.predicted, run.rejected) == (RunState.SUCCEEDED, 2, 1)
    person.assert_formatted()


def test_a_draft_over_columns_needs_a_table(person: Author) -> None:
    """What a model of trees reads, nobody can guess."""
    result = person.new("tips", "--kind", "xgboost")

    assert "A draft of kind xgboost reads columns of a table of yours: name it with --table" in str(result.exception)
    assert not (person.folder / "tips.py").exists()


def test_pictures_may_lie_in_a_folder_of_the_authors(person: Author, tmp_path: Path) -> None:
    """The draft brings none then, and a run finds a picture that comes later."""
    from PIL import Image

    folder = tmp_path / "my photos"
    folder.mkdir()
    Image.new("RGB", (8, 8), (255, 255, 255)).save(folder / "b 100%.JPG")
    told = person.draft("photos", "--kind", "image", "--pictures", "my photos")
    first = person.run("photos")
    Image.new("RGB", (8, 8)).save(folder / "a.png")

    second = person.run("photos")

    assert told["files"] == ["pipelines/photos.py"]
    assert (first.predicted, second.predicted) == (1, 1)
    assert outcomes(person, "photos") == {"b 100%.JPG": "255", "a.png": "0"}
    person.assert_formatted()


@pytest.mark.parametrize("name", ["sum", "every", "class", "pd", "mood", "a" * 63, "a-", "batchord"])
def test_any_name_of_a_pipeline_is_a_name_of_a_draft(person: Author, name: str) -> None:
    """Also words of Python, names that the file uses itself, and names as long as they may be."""
    person.draft(name)
    person.draft("z" * 63, "--kind", "sklearn", "--model", "m" * 80)

    assert person.run(name).state is RunState.SUCCEEDED
    person.assert_formatted()


@pytest.mark.parametrize("name", ["Reviews", "a/b", "../a", "1st", "", "a.b", "a" * 64, "a\nb"])
def test_other_names_are_refused(person: Author, name: str) -> None:
    """Before anything is written."""
    result = person.new("--", name)

    assert isinstance(result.exception, BatchordError)
    assert "cannot be a pipeline name" in str(result.exception)
    assert not person.folder.exists()


def test_nothing_is_overwritten(person: Author) -> None:
    """Neither the pipeline's file nor one beside it; then none of the others is written."""
    person.draft("reviews")
    (person.folder / "churn.skops").write_text("kept")
    (person.folder / "photos").mkdir()
    (person.folder / "photos" / "green.png").write_text("kept")

    again = person.new("reviews", "--kind", "text")
    beside = person.new("churn", "--kind", "sklearn")
    picture = person.new("photos", "--kind", "image")

    for result, file in ((again, "reviews.py"), (beside, "churn.skops"), (picture, "photos/green.png")):
        assert f"pipelines/{file} exists" in str(result.exception)
    assert "FunctionModel" in person.text("reviews")
    assert files(person.folder) == ["churn.skops", "photos", "reviews.py"]
    assert files(person.folder / "photos") == ["green.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--key", "id"), "give --table, too"),
        (("--model", "m"), "--model needs --kind"),
        (("--pictures", "."), "--pictures needs --kind image"),
        (("--kind", "other"), "'other' is not one of"),
    ],
)
def test_options_that_do_not_belong_together(person: Author, arguments: tuple[str, ...], said: str) -> None:
    """A wrong call, with exit code 2."""
    result = person.new("reviews", *arguments)

    assert result.exit_code == 2
    assert said in result.output


def test_an_extra_that_is_not_installed_is_named(person: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the first of the next steps; if the draft itself needs it, before anything is written."""
    monkeypatch.setattr("batchord.drafts.draft.missing", list)
    monkeypatch.setattr("batchord.drafts.drafting.missing", list)
    text = person.new("moods", "--kind", "text").stdout
    sklearn = person.new("churn", "--kind", "sklearn")

    assert text.index("pip install 'batchord[transformers]'") < text.index("batchord try moods")
    assert "pip install 'batchord[sklearn]'" in str(sklearn.exception)
    assert files(person.folder) == ["moods.py"]
