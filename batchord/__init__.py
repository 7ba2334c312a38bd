"""Batchord: batch predictions over newly arrived records, on Celery.

What a pipeline file imports. Importing it costs nothing: declarations pull in no Celery and no ML library.
"""

from batchord.core.calendar.schedules import after_pipeline, cron, every, once, rrule
from batchord.core.declared.alerts import Alerts
from batchord.core.declared.context import RunContext, StepOutput
from batchord.core.declared.limits import RejectionLimit
from batchord.core.declared.models import Images, Model, StoredModel
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.retries import Retry
from batchord.core.declared.sources import Source
from batchord.core.declared.step_context import Choice, StepContext
from batchord.core.declared.steps import Predict, TaskStep
from batchord.core.errors import CommandFailed, ModelError, OutOfTime, SqlFailed, StepError, TransientError
from batchord.models.catboost import CatBoostModel
from batchord.models.function import FunctionModel
from batchord.models.lightgbm import LightGBMModel
from batchord.models.onnx import OnnxModel
from batchord.models.sklearn import SklearnModel
from batchord.models.transformer import TransformersImage, TransformersText
from batchord.models.xgboost import XGBoostModel
from batchord.notebook import try_
from batchord.sources.sql import SqlSource
from batchord.steps.bash import Bash
from batchord.steps.branch import Branch
from batchord.steps.python import Python
from batchord.steps.sql import Sql

__all__ = [
    "Alerts",
    "Bash",
    "Branch",
    "CatBoostModel",
    "Choice",
    "CommandFailed",
    "FunctionModel",
    "Images",
    "LightGBMModel",
    "Model",
    "ModelError",
    "OnnxModel",
    "OutOfTime",
    "Pipeline",
    "Predict",
    "Python",
    "RejectionLimit",
    "Retry",
    "RunContext",
    "SklearnModel",
    "Source",
    "Sql",
    "SqlFailed",
    "SqlSource",
    "StepContext",
    "StepError",
    "StepOutput",
    "StoredModel",
    "TaskStep",
    "TransformersImage",
    "TransformersText",
    "TransientError",
    "XGBoostModel",
    "after_pipeline",
    "cron",
    "every",
    "once",
    "rrule",
    "try_",
]
