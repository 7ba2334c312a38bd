"""What every use of an author's database has in common: its address, how it is reached, and what its errors mean."""

from app.adapters.database.engine import CONNECT_TIMEOUT, create_engine, resolved_url
from app.adapters.database.failures import is_transient, said_by

__all__ = ["CONNECT_TIMEOUT", "create_engine", "is_transient", "resolved_url", "said_by"]
