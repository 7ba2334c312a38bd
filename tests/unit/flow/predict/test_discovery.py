"""No record is lost, whenever it commits: discovery against a database that is never quiet.

After every step of a simulation each record at or below the frontier must be accounted for. Many
random histories find the rare interleavings; hypothesis finds the common ones again and makes them short.
"""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.flow.predict.busy_source import Event, Verb
from tests.unit.flow.predict.discovery_simulation import Simulation

_VERBS: tuple[Verb, ...] = (
    "begin",
    "start",
    "start",
    "take",
    "write",
    "write",
    "commit",
    "roll back",
    "prepare",
    "tick",
    "stray",
)
_EVENTS = st.lists(st.builds(Event, st.sampled_from(_VERBS), st.integers(0, 3)), max_size=4)
#: What happens in the pauses of one discovery.
_PAUSES = st.lists(_EVENTS, max_size=12)
#: Small limits make scans end early, with a backlog left.
_MAX_SHARDS = (2, 1000)
_SETTLE = timedelta(seconds=3)
_HISTORIES = 300


@pytest.mark.parametrize("settle", [None, _SETTLE], ids=["transactions tell", "settle="])
@pytest.mark.parametrize("max_shards", _MAX_SHARDS)
@pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])
def test_no_record_is_lost_in_random_histories(max_shards: int, settle: timedelta | None, *, together: bool) -> None:
    """Late commits, rollbacks, two-phase commits, failing runs and dying planners, in hundreds of orders."""
    for seed in range(_HISTORIES):
        try:
            simulation = Simulation(max_shards=max_shards, settle=settle, together=together)
            _live_through(Random(seed), simulation)  # noqa: S311 -- no secret
        except AssertionError as lost:
            raise AssertionError(f"seed {seed}: {lost}") from lost


def _live_through(chance: Random, simulation: Simulation) -> None:
    busy = chance.choice((0.05, 0.2, 0.5))

    def events() -> list[Event]:
        count = chance.randrange(1, 5) if chance.random() < busy else 0
        return [Event(chance.choice(_VERBS), chance.randrange(4)) for _ in range(count)]

    for _ in range(25):
        for event in events() + events():
            simulation.world.happen(event)
        if simulation.shards:
            simulation.predict_shards(chance.choice((0, 1, 1000, 1000)), fails=chance.random() < 0.2)
        else:
            simulation.discover([events() for _ in range(20)], dies=chance.random() < 0.15)
        simulation.check_nothing_is_lost()
    simulation.check_it_ends()


class Discovery(RuleBasedStateMachine):
    """Sessions write, runs discover, workers account, planners die: in any order."""

    settle: timedelta | None = None

    def __init__(self) -> None:
        super().__init__()
        self.simulation = Simulation(max_shards=1000, settle=self.settle)

    @initialize(max_shards=st.sampled_from(_MAX_SHARDS), together=st.booleans())
    def start(self, max_shards: int, *, together: bool) -> None:
        """Another limit, another history."""
        self.simulation = Simulation(max_shards=max_shards, settle=self.settle, together=together)

    @rule(events=_EVENTS)
    def others_work(self, events: list[Event]) -> None:
        """Things happen while no discovery is under way."""
        for event in events:
            self.simulation.world.happen(event)

    @precondition(lambda self: not self.simulation.shards)
    @rule(pauses=_PAUSES, dies=st.booleans())
    def discover(self, pauses: list[list[Event]], *, dies: bool) -> None:
        """One discovery. Its plan is committed or rolled back."""
        self.simulation.discover(pauses, dies=dies)

    @precondition(lambda self: self.simulation.shards)
    @rule(count=st.sampled_from([0, 1, 1000]), fails=st.booleans())
    def predict_shards(self, count: int, *, fails: bool) -> None:
        """Some shards or all are predicted, and the others may fail."""
        self.simulation.predict_shards(count, fails=fails)

    @invariant()
    def nothing_is_lost(self) -> None:
        """The property."""
        self.simulation.check_nothing_is_lost()

    def teardown(self) -> None:
        """In the end every record must have been found."""
        self.simulation.check_it_ends()


class SettlingDiscovery(Discovery):
    """The same for a source that does not show open transactions but has ``settle=``, their longest duration."""

    settle = _SETTLE


_SEARCH = settings(
    max_examples=40, stateful_step_count=25, report_multiple_bugs=False, suppress_health_check=[HealthCheck.too_slow]
)

TestNoRecordIsLost = Discovery.TestCase
TestNoRecordIsLost.settings = _SEARCH
TestNoRecordIsLostWithSettle = SettlingDiscovery.TestCase
TestNoRecordIsLostWithSettle.settings = _SEARCH


def test_a_scan_that_ended_above_the_greatest_position_moves_nothing() -> None:
    """Positions above B may belong to a transaction that V does not know."""
    simulation = Simulation(max_shards=1)
    simulation.world.happen(Event("write", 0))
    late = [Event("start", 0), Event("write", 0), Event("write", 0), Event("write", 0)]

    simulation.discover([[]] * 7 + [late])  # in the last pause before the scan
    for _ in range(4):
        simulation.predict_shards(1000)
        simulation.check_nothing_is_lost()
        simulation.discover([])

    simulation.check_it_ends()


def test_settle_counts_from_a_moment_after_the_greatest_position_was_read() -> None:
    """A record that got its position just before B was read may appear settle= later. It must still be found."""
    simulation = Simulation(max_shards=1000, settle=_SETTLE)
    simulation.world.happen(Event("write", 0))
    # As the discovery begins: a second passes, a position is taken, and a later record commits.
    simulation.discover([[Event("tick", 0), Event("start", 0), Event("write", 0)]] * 2)
    for _ in range(4):
        simulation.predict_shards(1000)
        simulation.world.happen(Event("tick", 0))
        simulation.discover([])
        simulation.check_nothing_is_lost()

    simulation.check_it_ends()
