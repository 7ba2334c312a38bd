"""Records from a SQL database: the declaration, and the reader, which uses SQLAlchemy."""

from batchord.sources.sql.source import SqlSource

__all__ = ["SqlSource"]
