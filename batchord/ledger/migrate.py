"""Creates and upgrades the ledger's schema."""

from importlib.resources import as_file, files


def migrate(database_url: str, revision: str = "head", *, variable: str = "BATCHORD_DATABASE_URL") -> None:
    """Brings schema ``batchord`` to ``revision``; safe to run by several processes at once.

    ``database_url``: by the role that owns the schema, or is to; ``variable`` is where it stands, for errors.

    Raises ConfigurationError and TransientError for what the database says.
    """
    # Here, not above: every worker imports this package, and Alembic is a third of a light worker's start.
    from alembic import command
    from alembic.config import Config
    from psycopg import Error
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import DBAPIError

    from batchord.ledger.failures import translated

    with as_file(files("batchord.ledger") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder))
        url = make_url(database_url).set(drivername="postgresql+psycopg")
        # Passed as an attribute, not as an option: options are interpolated and may be printed.
        config.attributes["url"] = url
        try:
            command.upgrade(config, revision)
        except DBAPIError as error:
            if not isinstance(error.orig, Error):
                raise
            # Not chained: the driver may quote the address.
            raise translated(error.orig, database_url, variable) from None
