"""Records out of a SQL database: the ``Source`` port over SQLAlchemy."""

from app.adapters.sql_source.bounds import Limits
from app.adapters.sql_source.engine import dispose_engines
from app.adapters.sql_source.source import SqlRecords, open_source

__all__ = ["Limits", "SqlRecords", "dispose_engines", "open_source"]
