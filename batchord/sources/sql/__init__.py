"""Records out of a SQL database: the declaration, and what reads it over SQLAlchemy."""

from batchord.sources.sql.source import SqlSource

__all__ = ["SqlSource"]
