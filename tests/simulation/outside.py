"""What programs and people do to a simulated stack: records come and go, and somebody runs, cancels or repeats."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from batchord.core.errors import ConfigurationError, UnknownPipeline
from batchord.core.run.history import Actor as Person
from batchord.core.run.history import Way
from batchord.core.run.messages import Message
from batchord.flow.begin.backfill import fill_windows
from batchord.flow.begin.repair import retry_rejections
from batchord.flow.begin.rerun import rerun
from batchord.flow.upkeep.switch import pause
from tests.simulation.broker import Task
from tests.simulation.system import BAD, DEADLY, POISON, SimulatedParts
from tests.simulation.world import World

_PERSON = Person(user="ada", host="desk", way=Way.COMMAND)


def arrive(world: World) -> None:
    """Some records arrive, at once or in a transaction that stays open."""
    bodies: list[str | None] = [f"text {world.chance.number('text') % 1000}"]
    bodies += [f"text {extra}" for extra in (1, 2, 3) if world.chance.happens(f"one-more/{extra}", 0.5)]
    if world.chance.happens("bad-record", 0.1):
        bodies.append(BAD)
    if world.chance.happens("null-record", 0.1):
        bodies.append(None)
    if world.has("poison") and world.chance.happens("poison-record", 0.15):
        bodies.append(POISON)
    if world.has("deadly") and world.chance.happens("deadly-record", 0.05):
        bodies.append(DEADLY)
    tables = ["records", "records", "events"] if "windows" in world.shape else ["records"]
    table = world.chance.choose("which-table", tables)
    late = world.has("late") and world.chance.happens("late-commit", 0.4)
    keys = world.programs[table].insert(bodies, late=late)
    world.tell(f"{table} {keys[0]} to {keys[-1]} are inserted{', to be committed later' if late else ''}: {bodies}")


def commit_late(world: World) -> None:
    """A transaction that has stayed open is committed, or rolled back."""
    for table, program in world.programs.items():
        if program.open:
            commit = not world.chance.happens("roll-back", 0.2)
            keys = program.end(0, commit=commit)
            world.tell(f"{table} {keys[0]} to {keys[-1]} are {'committed' if commit else 'rolled back'}")
            return


def move(world: World) -> None:
    """A record gets a new position, as by an update of its time."""
    _change(world, world.programs["records"].move, "gets a new position")


def delete(world: World) -> None:
    """A record is deleted."""
    _change(world, world.programs["records"].delete, "is deleted")


def _change(world: World, change: Callable[[int], None], what: str) -> None:
    if committed := sorted(world.programs["records"].committed):
        key = world.chance.choose("which-record", committed)
        change(key)
        world.tell(f"record {key} {what}")


def do_by_hand(world: World) -> None:
    """A person does something."""
    parts = replace(world.parts, catalog=world.editions[-1], code_since=world.now())
    runs = parts.ledger.reports.runs(limit=5)
    what = world.chance.choose("what-by-hand", ["run", "cancel", "retry", "rerun", "pause", "resume", "backfill"])
    run_id = world.chance.choose("which-run", [run.id for run in runs]) if runs else None
    verbs: dict[str, Callable[[], object]] = {
        "run": lambda: world.broker.send(Task(name="run", pipeline="flow"), now=world.time),
        "cancel": lambda: run_id and world.broker.send(Task(name="cancel", run_id=str(run_id)), now=world.time),
        "retry": lambda: world.workers.publish(parts, retry_rejections(parts, pipeline="flow", actor=_PERSON)[2]),
        "rerun": lambda: run_id and world.workers.publish(parts, rerun(parts, run_id=str(run_id), actor=_PERSON)[1]),
        "backfill": lambda: world.workers.publish(parts, _backfill(world, parts)),
        "pause": lambda: pause(parts, pipeline="flow", paused=True, actor=_PERSON),
        "resume": lambda: pause(parts, pipeline="flow", paused=False, actor=_PERSON),
    }
    try:
        verbs[what]()
    except (ConfigurationError, UnknownPipeline) as error:
        world.tell(f"a person's {what} is refused: {error}")
    else:
        world.tell(f"a person does: {what} {str(run_id)[-4:] if run_id and what in ('cancel', 'rerun') else ''}")


def _backfill(world: World, parts: SimulatedParts) -> list[Message]:
    end = world.now()
    return fill_windows(parts, pipeline="windows", start=end - timedelta(minutes=35), end=end, actor=_PERSON)[1]


def resume(world: World) -> None:
    """A person resumes what may be paused."""
    pause(world.parts, pipeline="flow", paused=False, actor=_PERSON)
