"""A name without a schema never means the ledger's schema.

PostgreSQL looks into the schema that is called like the role first, and a role ``batchord`` is what many have: then an
author's ``CREATE TABLE reviews`` would lie among the ledger's tables.
"""

from typing import Any

import psycopg
from psycopg import sql

from batchord.database.own import PATH_WITHOUT_LEDGER


def mend_search_path(connection: psycopg.Connection[Any]) -> None:
    """Sets what the connection's role looks through in this database, from its next session on.

    For psql and for programs of the author's. Batchord's own sources and steps see to it in each transaction.
    """
    row = connection.execute(f"SELECT current_user, current_database(), {PATH_WITHOUT_LEDGER}").fetchone()
    if row is None or row[2] is None:
        return
    role, database, path = row
    # The path comes quoted, name by name.
    connection.execute(
        sql.SQL("ALTER ROLE {} IN DATABASE {} SET search_path TO {}").format(
            sql.Identifier(role), sql.Identifier(database), sql.SQL(path)
        )
    )
