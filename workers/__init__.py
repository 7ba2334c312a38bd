"""Celery tasks and worker signals; included by name from ``app.celery``."""
