"""The ledger: PostgreSQL tables that hold the truth about runs, shards and predictions."""

from batchord.ledger.ledger import Ledger
from batchord.ledger.migrate import migrate

__all__ = ["Ledger", "migrate"]
