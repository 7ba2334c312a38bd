"""Celery tasks and worker signals.

Importing them imports Batchord's Celery app. Its name is derived, because an installed Batchord has it as
``batchord.app``.
"""

import importlib

importlib.import_module(f"{__name__.removesuffix('workers')}app.celery")
