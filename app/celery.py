"""The Celery instance. It reads its settings, which name the servers, when one is first needed."""

import os
import sys
from pathlib import Path

from celery import Celery

import batchord.queue.sent_times  # noqa: F401 -- importing it is its use
from batchord.core.process.loading import refuse_while_loading
from batchord.output.last_words import mask_last_words

from .celery_loader import Loader

if __name__ == "app.celery":
    # In the repository, `workers` and `beat` lie beside this package. `celery -A app` finds only this package in the
    # working directory.
    sys.path.append(str(Path(__file__).parents[1]))
mask_last_words()
refuse_while_loading("Celery with Batchord's app", same_process=False)

# Without this, Flower would execute a file of the working directory, or be open to everybody if there is none.
os.environ.setdefault("FLOWER_CONF", str(Path(__file__).with_name("dashboard") / "flowerconfig.py"))

app = Celery(
    "batchord",
    loader=Loader,
    # No task ends with a MemoryError, after which the worker's parent process would end.
    task_cls=f"{__name__.removesuffix('app.celery')}workers.bearing:BearingTask",
    # Replies and events of workers hold no secret.
    control="batchord.queue.replies:SecretFreeControl",
    events="batchord.queue.replies:SecretFreeEvents",
)
