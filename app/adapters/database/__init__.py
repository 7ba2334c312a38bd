"""What every use of an author's database has in common: its address, how it is reached, and what its errors mean."""

from app.adapters.database.engine import CONNECT_TIMEOUT, create_engine, resolved_url, shown
from app.adapters.database.failures import is_of_the_data, is_transient, refusal, said_by
from app.adapters.database.lenient import as_missing, as_text, bear_times

__all__ = [
    "CONNECT_TIMEOUT",
    "as_missing",
    "as_text",
    "bear_times",
    "create_engine",
    "is_of_the_data",
    "is_transient",
    "refusal",
    "resolved_url",
    "said_by",
    "shown",
]
