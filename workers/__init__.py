"""Celery tasks and worker signals.

Whoever imports them has Batchord's app, whose name is derived: where Batchord is installed it is ``batchord.app``.
"""

import importlib

importlib.import_module(f"{__name__.removesuffix('workers')}app.celery")
