"""What a database's error means: may a later attempt work, and what did the database say?"""

import re

import psycopg
import sqlalchemy as sa

from batchord.core.secrets.patterns import masked
from batchord.database.refusals import advice_for

#: SQLSTATE classes that a later attempt may not meet: connection, transaction rollback, resources,
#: object in use, operator intervention, system and internal errors.
_TRANSIENT_CLASSES = ("08", "40", "53", "55", "57", "58", "XX")
#: SQLSTATE classes of errors that one row of a query may raise: a division by zero, a text that is no number, a
#: subquery that finds two rows, a text that grows beyond a gigabyte, an error of a function of the author's.
_OF_THE_DATA = ("21", "22", "54", "P0")
#: PostgreSQL's word, as an internal error, on a value of more than a gigabyte.
_BEYOND_THE_SERVER = re.compile(r"invalid memory alloc request size")
#: Numbers of MySQL's and MariaDB's errors, few of which have an SQLSTATE of their own. Those that a later attempt
#: may not meet: too many connections, a server that ends, a lost connection, a lock that was waited for in vain, a
#: deadlock, a statement that was ended by a limit or by somebody.
_MYSQL_TRANSIENT = frozenset(
    {1040, 1053, 1080, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1317, 1927, 1969, 2002, 2003, 2006, 2013, 2055, 3024}
)
#: Those with which a connection is refused.
_MYSQL_REFUSED = frozenset({1044, 1045, 1049, 1130, 1251, 1698})
_MYSQL_DRIVERS = frozenset({"pymysql", "MySQLdb", "mysql", "mariadb"})
#: What drivers say in an OperationalError although a person must act: SQLite has one class for all its
#: errors, and libpq gives no SQLSTATE for a connection that the server refused.
_PERMANENT = re.compile(
    r"no such (table|column|function|module)|syntax error|unrecognized token|incomplete input|"
    r"ambiguous column|wrong number of arguments|attempt to write a readonly database|"
    r"row value misused|unable to open database file|Unknown column",
    re.IGNORECASE,
)


def said_by(error: sa.exc.SQLAlchemyError, url: sa.URL) -> str:
    """The database's own words, with the line of the SQL where it gives one, without the password of ``url``."""
    said = str(error.orig if isinstance(error, sa.exc.DBAPIError) else error).strip()
    if url.password:  # however short it is
        said = said.replace(str(url.password), "***")
    return masked(said)


def refusal(error: sa.exc.SQLAlchemyError, said: str) -> str | None:
    """What a person can do where the server let nobody in; None where it did, or may at a later attempt."""
    if not isinstance(error, sa.exc.DBAPIError):
        return None
    number = _mysql_number(error)
    refused = not getattr(error.orig, "sqlstate", None) if number is None else number in _MYSQL_REFUSED
    return advice_for(said) if refused else None


def is_transient(error: sa.exc.SQLAlchemyError, said: str, *, classes: tuple[str, ...] = _TRANSIENT_CLASSES) -> bool:
    """Whether a later attempt may work. ``classes``: how the SQLSTATE of such an error begins."""
    if isinstance(error, sa.exc.TimeoutError):  # no free connection in the pool
        return True
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    if error.connection_invalidated or _BEYOND_THE_SERVER.search(said):
        return error.connection_invalidated
    known = _known_transient(error, classes)
    if known is None and isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.InternalError):
        return not _PERMANENT.search(said) and advice_for(said) is None
    return bool(known)


def _known_transient(error: sa.exc.DBAPIError, classes: tuple[str, ...]) -> bool | None:
    """By the error's number or SQLSTATE; None where it has neither."""
    number = _mysql_number(error)
    if number is not None:
        return number in _MYSQL_TRANSIENT
    sqlstate = getattr(error.orig, "sqlstate", None)
    return str(sqlstate).startswith(classes) if sqlstate else None


def is_of_the_data(error: sa.exc.SQLAlchemyError) -> bool:
    """Whether other rows of the same query may be read: one of its values is what cannot be had."""
    if not isinstance(error, sa.exc.DBAPIError) or error.connection_invalidated:
        return False
    if _BEYOND_THE_SERVER.search(str(error.orig)):
        return True
    sqlstate = getattr(error.orig, "sqlstate", None)
    return str(sqlstate).startswith(_OF_THE_DATA) if sqlstate else isinstance(error, sa.exc.DataError)


def _mysql_number(error: sa.exc.DBAPIError) -> int | None:
    """The number of the error, from whichever of the drivers; None for another database."""
    if type(error.orig).__module__.partition(".")[0] not in _MYSQL_DRIVERS:
        return None
    number = getattr(error.orig, "errno", None) or next(iter(getattr(error.orig, "args", ())), None)
    return number if isinstance(number, int) else None


def lacks_memory(error: sa.exc.SQLAlchemyError | psycopg.Error) -> bool:
    """Whether it is this process, not the server, that has no memory for a result; libpq says so in words alone."""
    orig = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return getattr(orig, "sqlstate", None) is None and "out of memory" in str(orig)
