"""Short texts through TF-IDF and a logistic regression, PostgreSQL to PostgreSQL."""

from benchmarks.measure import BARE, Measurement, Row
from benchmarks.peers import Peers
from benchmarks.stack import Stack
from benchmarks.texts import short_texts
from benchmarks.workloads.predictions import fill, in_turn, output_table, require_equal
from demo import sentiment
from demo.models import build_models

NAME = "text-sklearn"
RECORDS = 200_000
_PIPELINE = """
from batchord import Pipeline, SklearnModel, SqlSource

texts = Pipeline(
    "texts",
    source=SqlSource("SELECT id, body, created_at FROM texts", key="id", arrival="created_at"),
    model=SklearnModel({model!r}, text="body"),
)
"""


def measure(stack: Stack, *, records: int, times: int, peers: Peers | None) -> list[Row]:
    """The rows of the table. Raises RuntimeError if two systems disagree."""
    (built,) = build_models(stack.models, print, [sentiment])
    model = f"{built.location}/model.skops"
    fill(stack, "texts", "body", short_texts(records))
    stack.declare("texts", _PIPELINE.format(model=model))
    pids = stack.start()
    stack.warm("texts", workers=stack.processes)

    def loop() -> Measurement:
        output_table(stack, "bare")
        return stack.bare("bare_sklearn", model=model)

    systems = {BARE: loop, "Batchord": lambda: stack.batchord("texts", pids)}
    outputs: list[str] = []
    if peers is not None:
        systems |= peers.systems(stack, NAME, records=records, model=model)
        outputs = peers.outputs(NAME)
    results = in_turn(NAME, records, systems, times=times)
    require_equal(stack, records=records, outputs=outputs)
    return results
