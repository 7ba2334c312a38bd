"""Pipelines that follow a missing pipeline, or each other in a circle, cannot run. The others still run."""

from pathlib import Path

from batchord.catalog import Catalog, load
from tests.unit.catalog.pipeline_files import Write, sound


def _follower(name: str, followed: str) -> str:
    return (
        sound(name)
        .replace("every(minutes=10)", f"after_pipeline({followed!r})")
        .replace("import Pipeline", "import after_pipeline, Pipeline")
    )


def _said(folder: Path) -> list[str]:
    return sorted(str(problem) for problem in load(folder).problems)


def test_a_chain_of_followers_can_run(tmp_path: Path, write: Write) -> None:
    """In whatever order their files are read; two may follow one."""
    write("a.py", _follower("last", "middle"))
    write("b.py", _follower("middle", "first"))
    write("c.py", _follower("other", "first"))
    write("d.py", sound("first"))

    catalog = Catalog(tmp_path)

    assert catalog.problems == []
    assert catalog.names() == ["first", "last", "middle", "other"]


def test_following_an_unknown_pipeline_suggests_the_one_that_was_meant(tmp_path: Path, write: Write) -> None:
    """The name was mistyped. The other pipelines still run."""
    write("a.py", sound("features"))
    write("b.py", _follower("scores", "fetaures"))

    (problem,) = _said(tmp_path)
    assert problem == (
        "b.py: line 8: pipeline 'scores': after_pipeline('fetaures') names an unknown pipeline; "
        "did you mean 'features'?"
    )
    assert Catalog(tmp_path).names() == ["features"]


def test_who_follows_a_pipeline_with_problems_may_stay(tmp_path: Path, write: Write) -> None:
    """It is there, and will run when its author has mended it: one mistake is reported once."""
    write("a.py", sound("features").replace('key="id"', 'key=""'))
    write("b.py", _follower("scores", "features"))

    (problem,) = load(tmp_path).problems

    assert problem.pipeline == "features"
    assert Catalog(tmp_path).names() == ["scores"]


def test_a_pipeline_cannot_follow_itself(tmp_path: Path, write: Write) -> None:
    """It would never end."""
    write("a.py", _follower("scores", "scores"))
    write("b.py", sound("other"))

    assert _said(tmp_path) == [
        "a.py: line 8: pipeline 'scores': it follows 'scores' and thereby itself: break the cycle of scores"
    ]
    assert Catalog(tmp_path).names() == ["other"]


def test_pipelines_cannot_follow_each_other_in_a_circle(tmp_path: Path, write: Write) -> None:
    """The problem of each pipeline names the whole circle, also across several files."""
    for name, followed in (("a", "c"), ("b", "a"), ("c", "b")):
        write(f"{name}.py", _follower(name, followed))
    write("d.py", _follower("behind", "a"))
    write("other.py", sound("other"))

    assert _said(tmp_path) == [
        f"{name}.py: line 8: pipeline {name!r}: it follows {followed!r} and thereby itself: break the cycle of a, b, c"
        for name, followed in (("a", "c"), ("b", "a"), ("c", "b"))
    ]
    assert Catalog(tmp_path).names() == ["behind", "other"], "who follows one of them is no part of the circle"


def test_only_names_that_can_be_followed_are_listed(tmp_path: Path, write: Write) -> None:
    """No None, no list, nothing that its author must mend first."""
    write("a.py", sound("features"))
    write("b.py", sound("broken").replace('key="id"', 'key=""'))
    write("c.py", sound("x").replace('"x"', "None"))
    write("d.py", sound("y").replace('"y"', "['list']"))
    write("e.py", _follower("scores", "None"))

    said = [each for each in _said(tmp_path) if each.startswith("e.py")]

    assert said == [
        "e.py: line 8: pipeline 'scores': after_pipeline('None') names an unknown pipeline; the pipelines are: features"
    ]
