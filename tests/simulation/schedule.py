"""One schedule: what happens, in which order, until faults cease and all work must come to its end."""

from collections.abc import Callable

from tests.simulation.actors import State
from tests.simulation.broker import Task
from tests.simulation.outside import arrive, commit_late, delete, do_by_hand, move, resume
from tests.simulation.system import EVERY, edition
from tests.simulation.world import EPOCH, World

#: How many messages are delivered while there are faults, and the most things that happen meanwhile.
_DELIVERIES, _MOST_THINGS = 16, 100
#: The most rounds of waiting and sweeping until all work must be over.
_MOST_ROUNDS = 60
_WAITS = (5.0, 20.0, 45.0, 70.0, 130.0, 650.0, 1300.0)
#: Seconds after which the sweeper finds what nobody works on.
_SWEPT = 61


class NoProgressError(Exception):
    """Work that is still open although nothing stands in its way."""


def play(world: World) -> None:
    """Plays a schedule to its end. Raises NoProgressError, and what a task raised that none may raise."""
    world.programs["records"].insert(["first", "second", "third"])
    if "windows" in world.shape:
        world.programs["events"].insert(["one"])
    _tick(world, "flow")
    for _ in range(_MOST_THINGS):
        if world.workers.deliveries >= _DELIVERIES:
            break
        _happen(world)
    _cease(world)
    _settle(world)


# -- While there are faults ------------------------------------------------------------------------------------


def _happen(world: World) -> None:
    """Lets one thing happen. In most cases the next message is delivered."""
    chance = world.chance
    for process in world.workers.paused():
        if chance.happens("goes-on", 0.12):
            world.workers.go_on(process)
            return
    for label, fault, probability, happening in _HAPPENINGS:
        if (fault is None or world.has(fault)) and chance.happens(f"happens/_{label}", probability):
            happening(world)
            return
    if not _deliver(world):
        _wait(world)


def _deliver(world: World) -> bool:
    """Delivers a message that is due; False if there is none, or nobody to take it."""
    chance, due, idle = world.chance, world.broker.due(world.time), world.workers.idle()
    if not due or not idle:
        return False
    sent = due[0]
    if world.has("reorder"):
        sent = chance.choose("which-message", due)
    doubled = world.has("double") and chance.happens("double", 0.05)
    if doubled:
        world.tell(f"{sent} will be delivered again")
    world.workers.deliver(sent, chance.choose("who-takes-it", idle) if world.faulty else idle[0], doubled=doubled)
    return True


def _wait(world: World) -> None:
    if not world.faults and _deliver(world):
        return  # without faults, no message is late
    seconds = world.chance.choose("how-long", _WAITS)
    world.tell(f"{seconds:.0f} s pass")
    world.pass_time(seconds)


def _sweep(world: World) -> None:
    world.broker.send(Task(name="sweep"), now=world.time)


def _watch(world: World) -> None:
    world.broker.send(Task(name="watch"), now=world.time)


def _audit(world: World) -> None:
    world.broker.send(Task(name="audit"), now=world.time)


def _prune(world: World) -> None:
    world.broker.send(Task(name="prune"), now=world.time)


def _tick(world: World, pipeline: str) -> None:
    world.broker.send(Task(name="tick", pipeline=pipeline), now=world.time)


def _next_tick(world: World) -> None:
    """Time goes on to the next tick by beat's clock; beat sends it, unless it is lost."""
    while not world.faults and _deliver(world):
        pass  # without faults, no message is late
    seconds = EVERY * 60 - (world.time + world.beat_ahead - EPOCH.timestamp()) % (EVERY * 60)
    world.tell(f"{seconds:.0f} s pass until the next tick")
    world.pass_time(seconds)
    for pipeline in world.editions[-1].scheduled():
        if not (world.has("lose") and world.chance.happens("lose-tick", 0.2)):
            _tick(world, pipeline)


def _outlive(world: World) -> None:
    """A process that was stopped sleeps past its lease, and its message comes to another one."""
    for process in world.workers.paused():
        if process.busy is not None and process.busy.state is State.STOPPED and process.sent is not None:
            world.tell(f"{_SWEPT} s pass, and the lease of {process.name} runs out")
            world.pass_time(_SWEPT)
            world.broker.send(process.sent.what, now=world.time)
            return


def _lose_message(world: World) -> None:
    if world.broker.waiting:
        sent = world.chance.choose("which-lost", world.broker.waiting)
        world.broker.take(sent)
        world.tell(f"{sent} is lost")


def _flush(world: World) -> None:
    world.broker.forget()
    world.tell("the broker loses everything")


def _beat_differs(world: World) -> None:
    world.beat_ahead = world.chance.choose("how-far-ahead", [0.0, -400.0, -90.0, 5.0, 90.0, 400.0])
    world.tell(f"beat's clock is now {world.beat_ahead:.0f} s ahead of the ledger's")


def _restart(world: World) -> None:
    """All sessions end, with what they had not committed."""
    for program in world.programs.values():
        program.close()
    for process in world.workers.paused():
        if process.busy is not None:
            world.sessions.cut([*process.busy.sessions])
    world.tell("the database's server starts again")


def _step_back(world: World) -> None:
    world.pass_time(-world.chance.choose("how-far", [120.0, 4000.0]))
    world.tell("the clock steps back")


def _receiver(world: World) -> None:
    world.receivers.away = not world.receivers.away
    world.tell(f"the receiver of alerts is {'away' if world.receivers.away else 'back'}")


def _edit(world: World) -> None:
    number = len(world.editions)
    world.editions.append(edition(world, number))
    world.tell(f"the file is edited: edition {number}")


def _take_up(world: World) -> None:
    machine = world.chance.choose("which-machine", ["a", "b"])
    world.tell(f"machine {machine} takes up edition {world.editions[-1].number}")
    world.workers.take_up(world.editions[-1], machine=machine)


def _new_version(world: World) -> None:
    world.model_version += 1
    world.tell(f"version {world.model_version} of the model is stored")


#: What may happen beside the delivery of messages: its label, the kind of fault that a schedule must have for it, how
#: likely it is each time, and what it is.
_HAPPENINGS: tuple[tuple[str, str | None, float, Callable[[World], None]], ...] = (
    ("arrive", None, 0.10, arrive),
    ("sweep", None, 0.07, _sweep),
    ("watch", None, 0.02, _watch),
    ("next_tick", None, 0.04, _next_tick),
    ("wait", None, 0.03, _wait),
    ("audit", None, 0.01, _audit),
    ("prune", None, 0.01, _prune),
    ("outlive", "stop", 0.1, _outlive),
    ("late_commit", "late", 0.08, commit_late),
    ("move", "delete", 0.02, move),
    ("delete", "delete", 0.02, delete),
    ("lose_message", "lose", 0.02, _lose_message),
    ("flush", "flush", 0.02, _flush),
    ("step_back", "clock", 0.01, _step_back),
    ("beat_differs", "clock", 0.03, _beat_differs),
    ("restart", "restart", 0.02, _restart),
    ("receiver", "receiver", 0.03, _receiver),
    ("edit", "edit", 0.02, _edit),
    ("take_up", "edit", 0.05, _take_up),
    ("new_version", "model", 0.03, _new_version),
    ("by_hand", "people", 0.08, do_by_hand),
)


# -- When faults have ceased -----------------------------------------------------------------------------------


def _cease(world: World) -> None:
    """Ends all faults: programs commit, processes go on, receivers are back, all machines have the newest file."""
    world.tell("faults cease")
    world.faulty = False
    world.receivers.away = False
    world.beat_ahead = 0.0
    # Slots that come a second time have their runs already.
    world.pass_time(max(0.0, world.latest - world.time))
    for program in world.programs.values():
        while program.open:
            program.end(0, commit=True)
    resume(world)
    _go_on(world)
    world.workers.take_up(world.editions[-1])


def _go_on(world: World) -> None:
    while waiting := world.workers.paused():
        for process in waiting:
            world.workers.go_on(process)
        world.pass_time(1)


def _settle(world: World) -> None:
    """Lets time pass with sweeps. The runs of one more tick must take all that is left.

    The audit comes last. It finds only records of windows that had passed when their records were committed.
    """
    _drain(world)
    _next_tick(world)
    _drain(world)
    if "windows" in world.shape:
        _audit(world)
        _drain(world)


def _drain(world: World) -> None:
    """Lets time pass until nothing is open. Raises NoProgressError."""
    for _ in range(_MOST_ROUNDS):
        while _deliver(world):
            _go_on(world)
        if not _is_open(world):
            return
        due = world.broker.next_due()
        if due is not None and due - world.time < _SWEPT:
            world.pass_time(max(0.0, due - world.time) + 0.01)
        else:
            world.pass_time(_SWEPT)
            _sweep(world)
    raise NoProgressError(f"after {_MOST_ROUNDS} rounds without faults, work is still open")


def _is_open(world: World) -> bool:
    """Whether runs are open or alerts wait."""
    open_work = """
        SELECT FROM batchord.runs WHERE state IN ('queued', 'running')
        UNION ALL SELECT FROM batchord.alerts WHERE closed_at IS NULL
    """
    return bool(world.broker.waiting) or world.sessions.outside.execute(open_work).rowcount > 0
