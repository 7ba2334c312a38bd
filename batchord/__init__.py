"""Batchord: batch predictions over newly arrived records, on Celery.

What a pipeline file imports. Importing it costs nothing: declarations pull in no Celery and no ML library.
"""

from batchord.core.calendar.schedules import after_pipeline, cron, every, once, rrule
from batchord.core.declared.alerts import Alerts
from batchord.core.declared.context import RunContext, StepOutput
from batchord.core.declared.limits import RejectionLimit
from batchord.core.declared.models import (
    FunctionModel,
    Images,
    Model,
    SklearnModel,
    TransformersImage,
    TransformersText,
)
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.retries import Retry
from batchord.core.declared.sources import SqlSource
from batchord.core.declared.steps import Bash, Branch, Predict, Python, Sql
from batchord.core.errors import CommandFailed, ModelError, OutOfTime, SqlFailed

__all__ = [
    "Alerts",
    "Bash",
    "Branch",
    "CommandFailed",
    "FunctionModel",
    "Images",
    "Model",
    "ModelError",
    "OutOfTime",
    "Pipeline",
    "Predict",
    "Python",
    "RejectionLimit",
    "Retry",
    "RunContext",
    "SklearnModel",
    "Sql",
    "SqlFailed",
    "SqlSource",
    "StepOutput",
    "TransformersImage",
    "TransformersText",
    "after_pipeline",
    "cron",
    "every",
    "once",
    "rrule",
]
