"""Batchord: batch predictions over newly arrived records, on Celery.

What a pipeline file imports. Importing it costs nothing: declarations pull in no Celery and no ML library.
"""

from app.core.alerts import Alerts
from app.core.context import RunContext, StepOutput
from app.core.errors import CommandFailed, ModelError, OutOfTime, SqlFailed
from app.core.limits import RejectionLimit
from app.core.models import FunctionModel, Images, Model, SklearnModel, TransformersImage, TransformersText
from app.core.pipelines import Pipeline
from app.core.retries import Retry
from app.core.schedules import after_pipeline, cron, every, once, rrule
from app.core.sources import SqlSource
from app.core.steps import Bash, Branch, Predict, Python, Sql

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
