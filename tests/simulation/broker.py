"""The broker of a simulated stack. It may lose, double, delay and reorder messages, and forget everything."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from batchord.core.run.messages import (
    LONGEST_DELAY,
    Message,
    RunEnded,
    ShardReady,
    ShardsReady,
    StepEnded,
    StepReady,
)
from batchord.flow.begin.follow import followers

if TYPE_CHECKING:
    from batchord.flow.parts import Catalog


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task that is sent by its name: beat's, or a person's."""

    name: str
    pipeline: str | None = None
    #: The run to cancel.
    run_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A message in the broker."""

    id: int
    what: Message | Task
    #: When it may be delivered.
    due: float
    retries: int = 0
    #: The chord that counts it.
    chord: int | None = None

    def __str__(self) -> str:
        """The message as the story tells it."""
        match self.what:
            case Task(name=name, pipeline=pipeline):
                text = f"{name}({pipeline or ''})"
            case ShardReady(run_id=run, step=step, index=index):
                text = f"predict_shard({run[-4:]}, {step}, {index})"
            case StepReady(run_id=run, step=step, sharded=sharded):
                text = f"{'plan_step' if sharded else 'run_step'}({run[-4:]}, {step})"
            case StepEnded(run_id=run, step=step):
                text = f"finish_step({run[-4:]}, {step})"
            case what:
                values = ", ".join(str(value)[-4:] for name, value in vars(what).items() if name != "pipeline")
                text = f"{type(what).__name__}({values})"
        return f"m{self.id} {text}"


@dataclass(kw_only=True)
class Chord:
    """Counts its parts, and then sends its body."""

    body: Message
    parts: int
    #: Messages that were counted. A broker that doubles a message counts it once more.
    counted: int = 0
    broken: bool = False


@dataclass(kw_only=True)
class Broker:
    """The queue, as one list: which worker takes what is the schedule's choice."""

    waiting: list[Sent] = field(default_factory=list)
    chords: dict[int, Chord] = field(default_factory=dict)
    sent: int = 0

    def send(
        self, what: Message | Task, *, now: float, delay: float = 0, retries: int = 0, chord: int | None = None
    ) -> None:
        """Takes a message."""
        self.sent += 1
        self.waiting.append(Sent(id=self.sent, what=what, due=now + delay, retries=retries, chord=chord))

    def publish(self, message: Message, *, catalog: "Catalog", now: float) -> None:
        """Takes what a verb returned, as ``batchord.queue.publisher`` publishes it."""
        match message:
            case ShardsReady(run_id=run_id, step=step, indexes=(index,)):
                self.send(ShardReady(run_id=run_id, step=step, index=index, alone=True), now=now)
            case ShardsReady(run_id=run_id, step=step, indexes=indexes):
                number = len(self.chords) + 1
                self.chords[number] = Chord(body=StepEnded(run_id=run_id, step=step), parts=len(indexes))
                for index in indexes:
                    self.send(ShardReady(run_id=run_id, step=step, index=index), now=now, chord=number)
            case RunEnded():
                for follower in followers(catalog, message):
                    self.send(follower, now=now)
            case StepReady(delay=delay) if delay > LONGEST_DELAY:
                pass  # the sweeper sends it when it is due
            case StepReady(delay=delay):
                self.send(message, now=now, delay=delay)
            case _:
                self.send(message, now=now)

    def due(self, now: float) -> list[Sent]:
        """The messages that may be delivered now, in the order in which they became due."""
        return sorted((sent for sent in self.waiting if sent.due <= now), key=lambda sent: (sent.due, sent.id))

    def next_due(self) -> float | None:
        """When the next message may be delivered; None if no message waits."""
        return min((sent.due for sent in self.waiting), default=None)

    def take(self, sent: Sent) -> None:
        """Removes a message that a worker takes."""
        self.waiting.remove(sent)

    def give_back(self, sent: Sent, *, due: float) -> None:
        """Delivers a message again that nobody acknowledged."""
        self.waiting.append(replace(sent, due=due))

    def count(self, chord: int | None, *, now: float, failed: bool = False) -> None:
        """Counts a part of a chord. The last one sends the body, unless a part failed."""
        if chord is None or chord not in self.chords:
            return
        counting = self.chords[chord]
        counting.broken |= failed
        counting.counted += 1
        if counting.counted >= counting.parts:
            del self.chords[chord]
            if not counting.broken:
                self.send(counting.body, now=now)

    def forget(self) -> None:
        """Loses everything, as after FLUSHALL."""
        self.waiting.clear()
        self.chords.clear()
