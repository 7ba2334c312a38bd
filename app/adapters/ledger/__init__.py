"""The ledger: the PostgreSQL tables that hold the truth about runs, shards and predictions."""

from app.adapters.ledger.ledger import Ledger
from app.adapters.ledger.migrate import migrate

__all__ = ["Ledger", "migrate"]
