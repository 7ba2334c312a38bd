"""Interprets a database's error: may a later attempt work, and what did the database say?"""

import re

import psycopg
import sqlalchemy as sa

from batchord.core.secrets.patterns import masked
from batchord.database.refusals import advice_for

#: SQLSTATE classes of errors after which a later attempt may work: connection, transaction rollback, resources, object
#: in use, operator intervention, system and internal errors.
_TRANSIENT_CLASSES = ("08", "40", "53", "55", "57", "58", "XX")
#: SQLSTATE classes of errors that a single row of a query may raise: a division by zero, a text that is not a number, a
#: subquery that finds two rows, a text that grows beyond a gigabyte, an error of an author's function.
_OF_THE_DATA = ("21", "22", "54", "P0")
#: PostgreSQL's internal error for a value of more than a gigabyte.
_BEYOND_THE_SERVER = re.compile(r"invalid memory alloc request size")
#: Numbers of errors of MySQL and MariaDB after which a later attempt may work; few have an SQLSTATE of their own. They
#: are: too many connections, a server that ends, a lost connection, a lock that could not be had in time, a deadlock, a
#: statement that a limit or a person ended.
_MYSQL_TRANSIENT = frozenset(
    {1040, 1053, 1080, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1317, 1927, 1969, 2002, 2003, 2006, 2013, 2055, 3024}
)
#: Numbers of errors of a server that cannot be reached, or went away.
_MYSQL_AWAY = frozenset({2002, 2003, 2005, 2006, 2013})
#: Numbers of errors with which they refuse a connection.
_MYSQL_REFUSED = frozenset({1044, 1045, 1049, 1130, 1251, 1698})
_MYSQL_DRIVERS = frozenset({"pymysql", "MySQLdb", "mysql", "mariadb"})
#: Words in an OperationalError that mean that a person must act. SQLite has one class for all its errors, and libpq has
#: no SQLSTATE for a connection that the server refused.
_PERMANENT = re.compile(
    r"no such (table|column|function|module)|syntax error|unrecognized token|incomplete input|"
    r"ambiguous column|wrong number of arguments|attempt to write a readonly database|"
    r"row value misused|unable to open database file|Unknown column",
    re.IGNORECASE,
)


def said_by(error: sa.exc.SQLAlchemyError, url: sa.URL) -> str:
    """The database's own message, with the line of the SQL if it names one, without the password of ``url``."""
    message = str(error.orig if isinstance(error, sa.exc.DBAPIError) else error).strip()
    if url.password:  # however short it is
        message = message.replace(str(url.password), "***")
    return masked(message)


def refusal(error: sa.exc.SQLAlchemyError, message: str) -> str | None:
    """What a person can do if the server refused the connection for good; None for any other error."""
    if not isinstance(error, sa.exc.DBAPIError):
        return None
    number = _mysql_number(error)
    refused = not getattr(error.orig, "sqlstate", None) if number is None else number in _MYSQL_REFUSED
    return advice_for(message) if refused else None


def is_transient(error: sa.exc.SQLAlchemyError, message: str, *, classes: tuple[str, ...] = _TRANSIENT_CLASSES) -> bool:
    """Whether a later attempt may work. ``classes``: the beginnings of the SQLSTATE of such errors."""
    if isinstance(error, sa.exc.TimeoutError):  # no free connection in the pool
        return True
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    if error.connection_invalidated or _BEYOND_THE_SERVER.search(message):
        return error.connection_invalidated
    by_code = _is_transient_by_code(error, classes)
    if by_code is None and isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.InternalError):
        return not _PERMANENT.search(message) and advice_for(message) is None
    return bool(by_code)


def is_away(error: sa.exc.SQLAlchemyError) -> bool:
    """Whether a server gave no answer at all, so that a person may have to start it or to correct its address."""
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    number = _mysql_number(error)
    if number is not None:
        return number in _MYSQL_AWAY
    # SQLite is a file, and its errors have no SQLSTATE either.
    return isinstance(error.orig, psycopg.OperationalError) and not error.orig.sqlstate


def _is_transient_by_code(error: sa.exc.DBAPIError, classes: tuple[str, ...]) -> bool | None:
    """Whether the error's number or SQLSTATE says that a later attempt may work; None if it has neither."""
    number = _mysql_number(error)
    if number is not None:
        return number in _MYSQL_TRANSIENT
    sqlstate = getattr(error.orig, "sqlstate", None)
    return str(sqlstate).startswith(classes) if sqlstate else None


def is_of_the_data(error: sa.exc.SQLAlchemyError) -> bool:
    """Whether a single value is the cause, so that other rows of the same query may be read."""
    if not isinstance(error, sa.exc.DBAPIError) or error.connection_invalidated:
        return False
    if _BEYOND_THE_SERVER.search(str(error.orig)):
        return True
    sqlstate = getattr(error.orig, "sqlstate", None)
    return str(sqlstate).startswith(_OF_THE_DATA) if sqlstate else isinstance(error, sa.exc.DataError)


def _mysql_number(error: sa.exc.DBAPIError) -> int | None:
    """The number of an error of MySQL or MariaDB, from any of their drivers; None for another database."""
    if type(error.orig).__module__.partition(".")[0] not in _MYSQL_DRIVERS:
        return None
    number = getattr(error.orig, "errno", None) or next(iter(getattr(error.orig, "args", ())), None)
    return number if isinstance(number, int) else None


def lacks_memory(error: sa.exc.SQLAlchemyError | psycopg.Error) -> bool:
    """Whether this process, and not the server, has no memory for a result. Only libpq's words say so."""
    orig = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return getattr(orig, "sqlstate", None) is None and "out of memory" in str(orig)
