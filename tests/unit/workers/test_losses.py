"""What a worker's parent process does for a step whose pool process has died."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from batchord.core.reasons import LossCause
from batchord.core.run.messages import Message, StepReady
from batchord.core.run.runs import Step, StepState
from workers.losses import StepRequest


@pytest.mark.parametrize(("lost", "loss", "sent"), [(True, True, 1), (False, True, 0), (True, False, 0)])
def test_a_step_that_was_lost_is_sent_again(
    monkeypatch: pytest.MonkeyPatch,
    lost: bool,  # noqa: FBT001
    loss: bool,  # noqa: FBT001
    sent: int,
) -> None:
    """With its queue and limit. A step that another worker has, or whose message returns by itself, is not sent."""
    values = {"run_id": "r", "after": (), "state": StepState.READY, "attempt": 1, "error": None, "queue": "gpu"}
    steps = [Step(name=name, kind="python", time_limit=9, **values) for name in ("a", "b")]
    told: list[dict[str, Any]] = []
    published: list[Message] = []

    def lose_step(*_: Any, **values: Any) -> bool:
        told.append(values)
        return lost

    runs = SimpleNamespace(lose_step=lose_step, steps=lambda _: steps)
    monkeypatch.setattr("batchord.wiring.ledger", lambda: SimpleNamespace(runs=runs))
    # The module itself wants a Redis.
    monkeypatch.setitem(sys.modules, "workers.tasks", SimpleNamespace(publish=published.extend))
    request = SimpleNamespace(kwargs={"run_id": "r", "step": "b"})
    StepRequest.note_loss(request, "host:1", LossCause.KILLED, "lost", loss=loss)  # type: ignore[arg-type]
    assert told == [{"worker": "host:1", "cause": LossCause.KILLED, "error": "lost", "loss": loss}]
    again = StepReady(run_id="r", step="b", sharded=False, queue="gpu", time_limit=9, delay=1)
    assert published == [again] * sent
