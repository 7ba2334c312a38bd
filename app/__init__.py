"""Batchord: batch predictions over newly arrived records, on Celery.

What a pipeline file imports. Importing it costs nothing: declarations pull in no Celery and no ML library.
"""

from app.core.limits import RejectionLimit
from app.core.models import FunctionModel, Images, Model, SklearnModel, TransformersImage, TransformersText
from app.core.pipelines import Pipeline, Predict
from app.core.schedules import cron, every
from app.core.sources import SqlSource

__all__ = [
    "FunctionModel",
    "Images",
    "Model",
    "Pipeline",
    "Predict",
    "RejectionLimit",
    "SklearnModel",
    "SqlSource",
    "TransformersImage",
    "TransformersText",
    "cron",
    "every",
]
