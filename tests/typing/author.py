"""A file as authors write it. mypy must reveal these types, and must refuse exactly the lines marked as wrong."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import reveal_type

import pandas as pd

from batchord import (
    Alerts,
    Bash,
    Branch,
    Choice,
    FunctionModel,
    Images,
    Pipeline,
    Predict,
    Python,
    RejectionLimit,
    Retry,
    RunContext,
    SklearnModel,
    Source,
    Sql,
    SqlSource,
    StepContext,
    TaskStep,
    TransformersImage,
    TransformersText,
    after_pipeline,
    cron,
    every,
    once,
    rrule,
)


def mood(frame: pd.DataFrame) -> "pd.Series[str]":
    """A model of labels."""
    return frame["body"].str.lower()


def scored(frame: pd.DataFrame) -> pd.DataFrame:
    """A model of several columns."""
    return frame


def counted(frame: pd.DataFrame) -> int:
    """No model: it returns neither a Series nor a DataFrame."""
    return len(frame)


def report(run: RunContext) -> dict[str, int]:
    """The function of a step."""
    reveal_type(run["score"])  # is: StepOutput
    reveal_type(run["score"].predicted)  # is: int
    reveal_type(run.window_start)  # is: datetime | None
    return {"predicted": run["score"].predicted}


def nothing() -> None:
    """The function of a step that takes no run."""


def chosen(run: RunContext) -> list[str]:
    """The function of a branch."""
    return ["report"] if run["score"].share("bad") > 0.5 else []


def wrong(run: RunContext) -> int:
    """No function of a branch."""
    return run.attempt


class Copy(TaskStep):
    """An author's own kind of step."""

    def execute(self, context: StepContext) -> Choice:
        """Does the work."""
        reveal_type(context.run)  # is: RunContext
        reveal_type(context.secrets(["TOKEN"]))  # is: dict[str, str]
        return Choice(["report"])


source = SqlSource("SELECT id, body FROM reviews", key="id", arrival="created_at", settle=timedelta(minutes=1))
model = FunctionModel(mood, text="body", version="2")
step = Predict("score", source=source, model=model, rejection_limit=RejectionLimit(share=0.1), retry=Retry(3))
pipeline = Pipeline(
    "reviews",
    schedule=cron("0 6 * * *", "Europe/Berlin"),
    steps=[
        step,
        Branch("bad", chosen, after=["score"]),
        Python("report", report, after="bad", join="always", time_limit=None),
        Python("nothing", nothing),
        Sql("keep", ["SELECT 1", "SELECT :n"], params={"n": 1}, url_env="SHOP_URL"),
        Bash("push", "make push", env={"A": "b"}, secrets=["BATCHORD_AUTHOR_URL"]),
        Copy("copy", idempotent=False),
    ],
    overlap="queue",
    catchup="all",
    alerts=Alerts(max_run_time=timedelta(minutes=20)),
)
short = Pipeline("short", source=source, model=scored)
images = Images(column="location", allow=["s3://photos/"])

reveal_type(source)  # is: SqlSource
reveal_type(source.settle)  # is: timedelta | None
reveal_type(model)  # is: FunctionModel
reveal_type(model.text)  # is: str | None
reveal_type(step.source)  # is: Source
reveal_type(pipeline)  # is: Pipeline
reveal_type(pipeline.steps)  # is: Sequence[Step]
reveal_type(SklearnModel("m.skops", features=["a"], proba="all"))  # is: SklearnModel
reveal_type(TransformersText("m", text="body", task="embed"))  # is: TransformersText
reveal_type(TransformersImage("m", images=images))  # is: TransformersImage
reveal_type(every(minutes=10))  # is: Every
reveal_type(cron("0 6 * * *"))  # is: Cron
reveal_type(once(datetime(2027, 1, 1, tzinfo=UTC)))  # is: Once
reveal_type(rrule("FREQ=DAILY"))  # is: Rrule
reveal_type(after_pipeline("features"))  # is: AfterPipeline

every(minute=10)  # wrong: "minute"
cron(6)  # wrong: "str"
Pipeline("a", schedule="0 6 * * *")  # wrong: "Schedule
Pipeline("a", source=source, model=counted)  # wrong: "model"
Pipeline("a", overlap="wait")  # wrong: "overlap"
Pipeline("a", scheduled=every(minutes=1))  # wrong: "scheduled"
SqlSource("SELECT 1 AS id")  # wrong: "key"
SqlSource("SELECT 1 AS a, 2 AS b", key=["a", "b"])
SqlSource("SELECT 1 AS a, 2 AS b", key=("a", 2))  # wrong: "key"
SqlSource("SELECT 1 AS id", key="id", settle=60)  # wrong: "settle"
Predict("score", source=source)  # wrong: "model"
FunctionModel(counted)  # wrong: argument 1
Branch("b", wrong)  # wrong: argument 2
Python("p", counted)  # wrong: argument 2
Retry("3")  # wrong: argument 1
Images(column="location")  # wrong: "allow"
TransformersText("m", text="body", task="summarise")  # wrong: "task"
Alerts(max_run_time=20)  # wrong: "max_run_time"


def steps(sources: Sequence[Source]) -> list[Predict]:
    """Declarations made in a loop have types, too."""
    return [Predict(f"s{number}", source=each, model=model) for number, each in enumerate(sources)]
