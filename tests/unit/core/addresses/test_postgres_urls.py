"""Every spelling of a PostgreSQL address is understood, or refused without its secrets."""

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

from batchord.core.addresses.postgres import is_postgres, postgres_url
from batchord.core.errors import ConfigurationError

PLAIN = "postgresql://me:s3cret@db.example.com:5433/shop"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "postgres://me:s3cret@db.example.com:5433/shop",
        "postgresql+psycopg://me:s3cret@db.example.com:5433/shop",
        "postgresql+psycopg2://me:s3cret@db.example.com:5433/shop",
        "postgresql+asyncpg://me:s3cret@db.example.com:5433/shop",
        "PostgreSQL+psycopg_async://me:s3cret@db.example.com:5433/shop",
        " postgresql://me:s3cret@db.example.com:5433/shop\n",
        "host=db.example.com port=5433 user=me password=s3cret dbname=shop",
        "host = 'db.example.com' port=5433 user=me password='s3cret' dbname=shop",
        "postgresql://db.example.com:5433/shop?user=me&password=s3cret",
        "postgresql:///shop?host=db.example.com&port=5433&user=me&password=s3cret",
    ],
)
def test_every_spelling_is_one_address(text: str) -> None:
    """The ledger's driver and SQLAlchemy are given the same."""
    assert postgres_url(text, where="X") == PLAIN


@pytest.mark.parametrize("password", ["p@ss", "p:ss", "p'ss", "p ss", "100%", "p%40ss", "pä\\ss", "p=ss&x", "#p/s?s"])
def test_odd_passwords_survive(password: str) -> None:
    """As a key=value text has them, and percent-encoded; libpq and SQLAlchemy read the same from it."""
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    url = postgres_url(f"host=h user='u@v' password='{escaped}' dbname='d/e'", where="X")
    read = conninfo_to_dict(url)
    assert (read["user"], read["password"], read["host"], read["dbname"]) == ("u@v", password, "h", "d/e")
    assert (make_url(url).username, make_url(url).password, make_url(url).database) == ("u@v", password, "d/e")
    assert postgres_url(url, where="X") == url


def test_an_at_sign_in_a_password_need_not_be_encoded() -> None:
    """The host begins behind the last one."""
    assert conninfo_to_dict(postgres_url("postgresql://u:p@ss@h/d", where="X"))["password"] == "p@ss"  # noqa: S105


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://h/d?sslmode=require&options=-c%20jit%3Doff", {"sslmode": "require", "options": "-c jit=off"}),
        ("postgresql+asyncpg://h/d?ssl=require", {"sslmode": "require"}),
        ("postgresql://h/d?ssl=true", {"sslmode": "require"}),
        ("postgresql://h1:1,h2:2/d", {"host": "h1,h2", "port": "1,2"}),
        ("postgresql://u@[::1]:5432/d", {"host": "::1", "port": "5432"}),
        ("host=/run/postgresql dbname=d", {"host": "/run/postgresql"}),
        ("postgresql://%2Frun%2Fpostgresql/d", {"host": "/run/postgresql"}),
        ("service=shop", {"service": "shop"}),
    ],
)
def test_options_are_kept(text: str, expected: dict[str, str]) -> None:
    """As libpq reads them."""
    read = conninfo_to_dict(postgres_url(text, where="X"))
    assert {name: read[name] for name in expected} == expected


@pytest.mark.parametrize(
    "text",
    [
        "mysql://me:s3cret@h/d",
        "http://me:s3cret@h/d",
        "jdbc:postgresql://me:s3cret@h/d",
        "s3cret",
        "",
        "host=h password='s3cret",
        "host=h s3cret",
        "postgresql://me:s3/cret@h/d",
        "postgresql://me:s3#cret@h/d",
        "postgresql://me:s3?cret@h/d",
        "postgresql://h:s3cret/d",
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(text: str) -> None:
    """It names the variable, and nothing of the address but how it begins."""
    with pytest.raises(ConfigurationError) as caught:
        postgres_url(text, where="BATCHORD_DATABASE_URL")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(("BATCHORD_DATABASE_URL must be the address of a", "BATCHORD_DATABASE_URL cannot be read"))
    assert "cret" not in line


def test_other_databases_are_none() -> None:
    """They are SQLAlchemy's."""
    assert is_postgres("Postgres+asyncpg://h/d")
    assert not is_postgres("mysql+pymysql://h/d")
    assert not is_postgres("cockroachdb://h/d")
