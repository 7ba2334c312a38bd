"""Steps that execute SQL statements in one transaction."""

from batchord.steps.sql.step import Sql

__all__ = ["Sql"]
