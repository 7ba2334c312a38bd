"""The Celery instance. Its settings, which name the servers, are read when one is first needed."""

import os
import sys
from pathlib import Path

from celery import Celery

from batchord.core.process.loading import refuse_while_loading
from batchord.output.last_words import mask_last_words

from .celery_loader import Loader

if __name__ == "app.celery":
    # In the repository `workers` and `beat` stand beside this package, which `celery -A app` finds by the working
    # directory: it looks there for nothing else.
    sys.path.append(str(Path(__file__).parents[1]))
mask_last_words()
refuse_while_loading("Celery with Batchord's app", same_process=False)

# Flower would execute a file of the working directory, and is open without one.
os.environ.setdefault("FLOWER_CONF", str(Path(__file__).with_name("dashboard") / "flowerconfig.py"))

app = Celery(
    "batchord",
    loader=Loader,
    # Celery's own, but none ends with a MemoryError, whereupon the worker's parent process would end.
    task_cls=f"{__name__.removesuffix('app.celery')}workers.bearing:BearingTask",
    # What workers tell of themselves holds no secret.
    control="batchord.queue.replies:SecretFreeControl",
    events="batchord.queue.replies:SecretFreeEvents",
)
