"""What a simulated stack consists of besides the code under test: pipelines, a model, receivers of alerts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from batchord import Pipeline, Predict, Python, Retry, RunContext, Sql, after_pipeline, every
from batchord.core.declared.alerts import Alerts
from batchord.core.declared.models import Images, Model
from batchord.core.declared.steps import Step
from batchord.core.errors import DataError, TransientError, UnknownPipeline
from batchord.core.ports import Attachment, LoadedImages
from batchord.core.reasons import Reason
from batchord.core.run.logs import LogPart, PartName
from batchord.flow.parts import Parts
from tests.simulation.arrivals import Arrivals

if TYPE_CHECKING:
    from collections.abc import Container
    from contextlib import AbstractContextManager
    from datetime import datetime

    from batchord.core.run.logs import AttemptName
    from batchord.flow.attempt.log import AttemptLog
    from tests.simulation.world import World

#: Minutes between two ticks.
EVERY = 10
#: What a schedule's pipelines may have besides a step that predicts records.
SHAPES = ("functions", "statement", "windows", "follows")
#: A text for which the model has no answer, one for which it raises, and one that kills its process.
BAD, POISON, DEADLY = "bad", "poison", "deadly"


@dataclass(frozen=True, kw_only=True)
class SimulatedModel(Model):
    """A model whose label shows the version and the text that it was made from."""

    min_shard_rows: ClassVar[int] = 2

    #: Changes with each edit of the file.
    edition: int = 0

    @property
    def kind_digest(self) -> None:
        """See :meth:`tests.simulation.arrivals.Arrivals.kind_digest`."""
        return None


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """See the port."""

    version: str
    edition: int
    world: "World"
    runs_on: str = "cpu"
    picture_side: int | None = None
    costly_characters: int | None = None
    reads: tuple[str, ...] | None = ("body",)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """See the port."""
        labels: list[Any] = []
        for body in frame["body"]:
            if body.startswith(DEADLY):
                self.world.die("the record killed it")
            bad = body.startswith(BAD)
            labels.append(DataError(Reason.NO_OUTPUT, "no answer") if bad else label(self.version, self.edition, body))
        # Never for two of them together: a model that raises for every record of a batch is broken, and its step fails.
        if frame["body"].str.startswith(POISON).sum() == 1:
            raise ValueError("the record is too much for the model")
        self.world.at("predicting")
        self.world.break_model()
        return pd.DataFrame({"label": labels}, index=frame.index, dtype=object)


def label(version: str, edition: int, body: str) -> str:
    """What the model says about a text."""
    return f"{version}/{edition}/{body}"


class SimulatedModels:
    """The port of models. A newer version may be stored at any time; older ones can still be loaded."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def version(self, declared: Model) -> str:  # noqa: ARG002 -- the port's
        """See the port."""
        return f"v{self._world.model_version}"

    def load(self, declared: Model, version: str) -> LoadedModel:
        """See the port."""
        assert isinstance(declared, SimulatedModel)
        return LoadedModel(version=version, edition=declared.edition, world=self._world)

    def load_at_hand(self, declared: Model, version: str) -> LoadedModel:
        """See the port."""
        return self.load(declared, version)


@dataclass(frozen=True, kw_only=True)
class Edition:
    """The pipelines as one text of their file declares them. The interface of a catalog."""

    number: int
    pipelines: Mapping[str, Pipeline]
    problems: Sequence[Any] = ()

    def get(self, name: str) -> Pipeline:
        """See ``batchord.flow.parts.Catalog``."""
        if name not in self.pipelines:
            raise UnknownPipeline(f"no pipeline {name}")
        return self.pipelines[name]

    def names(self) -> list[str]:
        """See ``batchord.flow.parts.Catalog``."""
        return sorted(self.pipelines)

    def scheduled(self) -> list[str]:
        """The names of the pipelines that beat has ticks for."""
        return [name for name, pipeline in self.pipelines.items() if pipeline.after is None]


def edition(world: "World", number: int) -> Edition:
    """The pipelines of a schedule. Each of them has something that another one lacks; most schedules lack some."""
    model = SimulatedModel(text="body", edition=number)
    note = partial(_note, world)
    source = Arrivals(table="records", world=world)
    steps: list[Step] = [
        Predict("predict", source=source, model=model, batch_rows=2, shard_rows=4, retry=Retry(2)),
    ]
    if "functions" in world.shape:
        steps.append(Python("once", note, after=["predict"], idempotent=False))
        steps.append(Python("again", note, after=["predict"], retry=Retry(1)))
    if "statement" in world.shape:
        statement = "INSERT INTO public.effects VALUES (:run_id, 'count')"
        steps.append(Sql("count", statement, after=[steps[-1].name], join="always"))
    schedule = every(minutes=EVERY)
    alerts = Alerts(max_run_time=timedelta(hours=2))
    pipelines = [Pipeline("flow", schedule=schedule, alerts=alerts, steps=steps)]
    if "windows" in world.shape:
        events = Arrivals(table="events", windowed=True, world=world)
        windows = Pipeline("windows", schedule=schedule, catchup="all", max_active_runs=2, source=events, model=model)
        pipelines.append(windows)
    if "follows" in world.shape:
        after = after_pipeline("flow", states=["succeeded", "partial"])
        pipelines.append(Pipeline("follows", schedule=after, steps=[Python("once", note, idempotent=False)]))
    return Edition(number=number, pipelines={each.name: each for each in pipelines})


def _note(world: "World", run: RunContext) -> None:
    world.effects[run.id, run.step] += 1
    world.at("in-function")


@dataclass
class Receivers:
    """The port of notifiers: a receiver that is away at times."""

    away: bool = False
    #: How often each alert arrived, by its title and text.
    got: Counter[str] = field(default_factory=Counter)

    def problems(self, address: str) -> str | None:  # noqa: ARG002 -- the port's
        """See the port."""
        return None

    def send(self, address: str, *, title: str, body: str, failure: bool, attachment: Attachment | None = None) -> None:  # noqa: ARG002 -- the port's
        """See the port."""
        if self.away:
            raise TransientError("the receiver is away")
        self.got[f"{title}: {body}"] += 1


class NoLogs:
    """The port of logs, for a stack that keeps none."""

    def append(self, part: LogPart) -> None:
        """See the port."""

    def read(
        self,
        run_id: str,  # noqa: ARG002 -- the port's, as the others
        *,
        step: str | None = None,  # noqa: ARG002
        shard: int | None = None,  # noqa: ARG002
        seen: "Container[PartName]" = (),  # noqa: ARG002
    ) -> Iterator[LogPart]:
        """See the port."""
        yield from ()

    def delete_before(self, moment: "datetime") -> int:  # noqa: ARG002 -- the port's
        """See the port."""
        return 0


class NoImages:
    """The port of images: no model reads any."""

    def read(self, locations: "pd.Series[Any]", accept: Images, *, side: int | None = None) -> LoadedImages:
        """See the port."""
        raise NotImplementedError(f"{len(locations)} pictures as {accept} with side {side}")


class NoSwitchboard:
    """The port of the switchboard: the simulated beat reads the ledger."""

    def show(self, switched: Mapping[str, Mapping[str, Any]]) -> None:
        """See the port."""


@dataclass(frozen=True, kw_only=True)
class SimulatedParts(Parts):
    """Parts whose attempts keep no log: a log has a thread and a clock of its own, and no part in the outcome."""

    def log_of(self, attempt: "AttemptName") -> "AbstractContextManager[AttemptLog]":  # noqa: ARG002 -- the original's
        """See the base class."""
        return nullcontext()  # type: ignore[return-value]
