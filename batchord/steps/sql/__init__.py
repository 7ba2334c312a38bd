"""A step's SQL statements in one transaction: the ``SqlRunner`` port over SQLAlchemy."""

from batchord.steps.sql.runner import StatementRunner

__all__ = ["StatementRunner"]
