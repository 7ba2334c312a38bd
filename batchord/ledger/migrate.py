"""Creates and upgrades the ledger's schema."""

from importlib.resources import as_file, files

_FOLDER = files("batchord.ledger") / "migrations"


def newest_revision() -> str:
    """The revision to which :func:`migrate` brings the schema. Files are named for theirs, so Alembic is not needed."""
    return max(file.name.partition("_")[0] for file in (_FOLDER / "versions").iterdir() if file.name[:1].isdigit())


def migrate(database_url: str, revision: str = "head", *, variable: str = "BATCHORD_DATABASE_URL") -> None:
    """Brings the schema ``batchord`` to ``revision``. Several processes may do so at the same time.

    Args:
        database_url: The address for the role that owns the schema, or that will own it.
        revision: A revision of Alembic.
        variable: The name of the variable that holds the address, for errors.

    Raises ConfigurationError or TransientError for an error of the database.
    """
    # Imported here: every worker imports this package, and importing Alembic takes a third of a light worker's start.
    from alembic import command
    from alembic.config import Config
    from psycopg import Error
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import DBAPIError

    from batchord.ledger.failures import translated

    with as_file(_FOLDER) as folder:
        config = Config()
        config.set_main_option("script_location", str(folder))
        url = make_url(database_url).set(drivername="postgresql+psycopg")
        # An attribute, not an option: Alembic interpolates options and may print them.
        config.attributes["url"] = url
        try:
            command.upgrade(config, revision)
        except DBAPIError as error:
            if not isinstance(error.orig, Error):
                raise
            # Not chained: the driver's error may quote the address.
            raise translated(error.orig, database_url, variable) from None
