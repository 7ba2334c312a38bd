"""The line of a problem: of the step if it has one, otherwise of the pipeline."""

from textwrap import dedent

import pytest

from batchord.catalog.lines import line_of

_TEXT = dedent("""
    from batchord import Pipeline, Python

    work = Python("work", print)
    other = Pipeline("other", steps=[
        Python("own", print),
    ])
    main = batchord.Pipeline(
        name="main",
        steps=[
            Python("own", print),
            work,
        ],
    )
    made = declare("made")

    def told(run):
        return run["wrok"]

    model = Model(
        "models/mood",
    )
    moods = Pipeline("moods", steps=[Predict("score", model=model), Python("tell", told)])
""")


@pytest.mark.parametrize(
    ("pipeline", "problem", "line"),
    [
        ("other", "jitter=3: give a timedelta", 5),
        ("main", "jitter=3: give a timedelta", 8),
        ("other", "step 'own': queue=3", 6),
        ("main", "step 'own': queue=3", 11),
        ("main", "step 'work': queue=3", 4),
        ("main", "step 'missing': queue=3", 8),
        ("made", "it has no steps", 15),
        ("moods", "step 'score': 'models/mood' does not exist", 21),
        ("moods", "step 'tell': run['wrok'] names an unknown step", 18),
        ("moods", "step 'score': 'elsewhere' does not exist", 23),
        ("unknown", "it has no steps", None),
    ],
)
def test_the_line_of_a_problem(pipeline: str, problem: str, line: int | None) -> None:
    """Of two steps with one name, that of the pipeline."""
    assert line_of(_TEXT.encode(), problem, pipeline=pipeline) == line


def test_a_text_that_cannot_be_read_has_no_lines() -> None:
    """Its own problem names the line."""
    assert line_of(b"def broken(:", "x", pipeline="a") is None
