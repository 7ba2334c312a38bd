"""A name without a schema never means the ledger's schema.

PostgreSQL first looks into the schema that has the role's name, and many databases have a role ``batchord``. Then an
author's ``CREATE TABLE reviews`` would create a table among those of the ledger.
"""

from typing import Any

import psycopg
from psycopg import sql

from batchord.database.own import PATH_WITHOUT_LEDGER


def mend_search_path(connection: psycopg.Connection[Any]) -> None:
    """Sets the search path of the connection's role in this database, from the role's next session on.

    This is for psql and for the author's programs. Batchord's sources and steps set the path in each transaction.
    """
    row = connection.execute(f"SELECT current_user, current_database(), {PATH_WITHOUT_LEDGER}").fetchone()
    if row is None or row[2] is None:
        return
    role, database, path = row
    # The query quotes each name of the path.
    connection.execute(
        sql.SQL("ALTER ROLE {} IN DATABASE {} SET search_path TO {}").format(
            sql.Identifier(role), sql.Identifier(database), sql.SQL(path)
        )
    )
