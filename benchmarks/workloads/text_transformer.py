"""Texts of mixed lengths through a fine-tuned MiniLM."""

import os

from benchmarks.measure import BARE, Measurement, Row
from benchmarks.peers import Peers
from benchmarks.stack import Stack
from benchmarks.texts import mixed_texts
from benchmarks.workloads.predictions import fill, in_turn, output_table, require_equal
from demo import topics
from demo.models import build_models

NAME = "text-transformer"
RECORDS = 5_000
MAX_TOKENS = 256
_PIPELINE = """
from batchord import Pipeline, SqlSource, TransformersText

texts = Pipeline(
    "texts",
    source=SqlSource("SELECT id, body, created_at FROM texts", key="id", arrival="created_at"),
    model=TransformersText({model!r}, text="body", max_tokens={max_tokens}),
)
"""


def measure(stack: Stack, *, records: int, times: int, peers: Peers | None) -> list[Row]:
    """The rows of the table. Raises RuntimeError if two systems disagree."""
    (built,) = build_models(stack.models, print, [topics])
    model = built.location
    fill(stack, "texts", "body", mixed_texts(records))
    stack.declare("texts", _PIPELINE.format(model=model, max_tokens=MAX_TOKENS))
    pids = stack.start()
    stack.warm("texts", workers=stack.processes)

    def loop() -> Measurement:
        output_table(stack, "bare")
        return stack.bare("bare_transformer", model=model, max_tokens=MAX_TOKENS)

    def usual() -> Measurement:
        output_table(stack, "usual")
        arguments = {"model": model, "max_tokens": MAX_TOKENS, "processes": 1, "threads": os.cpu_count()}
        return stack.bare("usual_transformer", **arguments)

    systems = {
        BARE: loop,
        "Batchord": lambda: stack.batchord("texts", pids),
        "usual loop (pipeline, batch_size=32)": usual,
    }
    outputs = ["usual"]
    if peers is not None:
        systems |= peers.systems(stack, NAME, records=records, model=model, max_tokens=MAX_TOKENS)
        outputs += peers.outputs(NAME)
    results = in_turn(NAME, records, systems, times=times)
    require_equal(stack, records=records, outputs=outputs)
    return results
