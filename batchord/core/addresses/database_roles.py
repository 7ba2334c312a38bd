"""The roles that Batchord connects to its database as, one for each kind of work."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DatabaseRoles:
    """One address for each role, as :mod:`batchord.core.addresses.postgres` writes them. Several may be the same."""

    #: Owns the ledger's tables: only migrations need it.
    owner: str
    #: Reads and writes the ledger's rows: workers and commands.
    ledger: str
    #: Owns the author's tables and executes Sql steps; reads the ledger.
    author: str
    #: Reads sources, and writes nothing.
    source: str
    #: A superuser that creates the other roles; None: somebody has created them already.
    admin: str | None = None

    def by_variable(self) -> dict[str, str]:
        """Each address by the variable that sets it, for messages to people. The superuser's address is left out."""
        return {
            "BATCHORD_OWNER_URL": self.owner,
            "BATCHORD_DATABASE_URL": self.ledger,
            "BATCHORD_AUTHOR_URL": self.author,
            "BATCHORD_SOURCE_URL": self.source,
        }

    def __repr__(self) -> str:
        """Hides the values: they hold passwords, and a repr ends up in logs and tracebacks."""
        return "DatabaseRoles(…)"
