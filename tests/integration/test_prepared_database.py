"""Whether a database has its tables and rights is found out quickly and without Alembic."""

from pathlib import Path

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from batchord import ledger
from batchord.core.addresses.database_roles import DatabaseRoles
from batchord.ledger.migrate import newest_revision
from batchord.ledger.roles.preparing import is_prepared, prepare_database


def test_a_database_that_was_prepared_is_known(database_roles: DatabaseRoles) -> None:
    """The tests' databases are copies of one that was prepared."""
    assert is_prepared(database_roles)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE batchord.schema_version SET version_num = '0016'",
        "REVOKE SELECT ON batchord.predictions FROM batchord_source",
        "DROP SCHEMA batchord CASCADE",
    ],
)
def test_one_that_lacks_something_is_not(database_url: str, database_roles: DatabaseRoles, change: str) -> None:
    """An older release's tables, a right that is missing, or no tables at all."""
    with psycopg.connect(database_url) as connection:
        connection.execute(change)

    assert not is_prepared(database_roles)


def test_it_is_known_after_the_preparation(database_url: str, database_roles: DatabaseRoles) -> None:
    """The preparation restores everything that the question asks for."""
    with psycopg.connect(database_url) as connection:
        connection.execute("REVOKE SELECT ON batchord.predictions FROM batchord_source")

    prepare_database(database_roles)

    assert is_prepared(database_roles)


def test_the_newest_revision_is_that_of_alembic() -> None:
    """The names of the files say the same as their contents."""
    assert ledger.__file__ is not None
    config = Config()
    config.set_main_option("script_location", str(Path(ledger.__file__).with_name("migrations")))

    assert newest_revision() == ScriptDirectory.from_config(config).get_current_head()
