"""A step's SQL statements in one transaction: the ``SqlRunner`` port over SQLAlchemy."""

from app.adapters.sql_step.runner import StatementRunner

__all__ = ["StatementRunner"]
