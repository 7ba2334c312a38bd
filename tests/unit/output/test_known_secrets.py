"""Which texts must not be in a log."""

import pytest
from pydantic import SecretStr

from batchord import Bash, Sql
from batchord.core.declared.alerts import Alerts
from batchord.core.declared.pipelines import Pipeline
from batchord.core.declared.steps import Predict
from batchord.core.secrets.patterns import masked
from batchord.output.known_secrets import known_secrets, secrets_around, secrets_of
from batchord.settings import Settings
from batchord.sources.sql import SqlSource


def test_passwords_of_the_settings_are_known() -> None:
    """Of addresses the passwords, decoded too; names and hosts are no secrets."""
    known = known_secrets(
        Settings(
            database_url=SecretStr("postgresql://bob:p%40ssword@db.example/batchord"),
            redis_url=SecretStr("redis://:redis-secret@cache.example/0"),
            s3_access_key_id=SecretStr("AKIA-OF-OURS"),
            s3_secret_access_key=SecretStr("s3-secret"),
        )
    )

    assert {"p%40ssword", "p@ssword", "redis-secret", "s3-secret", "AKIA-OF-OURS"} <= set(known)
    assert not {"bob", "batchord", "db.example", ""} & set(known)
    text = "p@ssword p%40ssword redis-secret s3-secret in batchord on db.example"
    assert masked(text, known=known) == "*** *** *** *** in batchord on db.example"
    assert masked("at redis://:redis-secret@cache.example/0!", known=known) == "at redis://:***@cache.example/0!"


def test_tokens_in_alert_addresses_are_known() -> None:
    """Several addresses in one setting or in a list: each whole, its path, and the parts that look like tokens."""

    class WithAlerts(Settings):
        alert_urls: SecretStr | None = None
        more_alerts: tuple[SecretStr, ...] = ()

    known = known_secrets(
        WithAlerts(
            alert_urls=SecretStr(
                "https://hooks.example/services/T0AB12CD3/xYz123abc, mailto://u:mail-secret@example.org"
            ),
            more_alerts=(SecretStr("slack://one/two/three"), SecretStr("json://h/x?token=aB3dE6gH9k")),
        )
    )

    assert {"T0AB12CD3", "xYz123abc", "mail-secret", "slack://one/two/three", "two/three", "aB3dE6gH9k"} <= set(known)
    assert masked("POST /services/T0AB12CD3/xYz123abc failed", known=known) == "POST /*** failed"
    assert masked("T0AB12CD3 or xYz123abc", known=known) == "*** or ***"


@pytest.mark.parametrize(
    "receiver",
    ["https://hooks.example/batchord", "json://h/api/batchord", "json://batchord/alerts/v1", "ntfy://us-east-1"],
)
def test_the_words_of_a_receivers_address_are_no_secrets(receiver: str) -> None:
    """Or every command's name would be masked, since a webhook's path may be anything."""
    known = known_secrets(Settings(alert_urls=SecretStr(receiver)))

    text = "batchord show 0197: alerts v1 in us-east-1, from hooks.example"
    assert masked(text, known=known) == text
    assert masked(f"sent to {receiver}", known=known) == "sent to ***"


@pytest.mark.parametrize("password", ["batchord", "postgres", "reviews", "test", "Password", "minioadmin"])
def test_a_password_that_is_a_common_word_is_hidden_in_addresses_only(password: str) -> None:
    """It hides nothing, and such words stand in every log."""
    known = known_secrets(Settings(database_url=SecretStr(f"postgresql://u:{password}@db.example/x")))

    assert masked(f"the {password} of all", known=known) == f"the {password} of all"
    assert masked(f"postgresql://u:{password}@other", known=known) == "postgresql://u:***@other"


def test_a_password_of_letters_is_hidden_as_a_word_of_its_own() -> None:
    """Not within others."""
    known = known_secrets(Settings(redis_url=SecretStr("redis://:swordfish@cache")))

    assert masked("swordfish, swordfishes", known=known) == "***, swordfishes"


def test_secrets_of_the_environment_are_known() -> None:
    """By what they are called, or as the passwords of addresses, whatever these are called."""
    known = secrets_around(
        {
            "WAREHOUSE": "mysql://u:ware%2Dhouse9@h/db?ssl_key=k",
            "PGPASSWORD": "pg-password-1",
            "HF_TOKEN": "plainly7",
            "FLOWER_BASIC_AUTH": "ann:flower-1,bob:flower-2",
            "ODBC": "mssql://h/?odbc_connect=DRIVER%3Dx%3BPWD%3D%7Bodbc-pw1%7D%3B",
            "SIGNING_PRIVATE_KEY": "first line of a key\nsecond line of a key",
            "TOKENIZERS_PARALLELISM": "falsefalse",
            "PWD": "/home/ann/project",
            "HOME_URL": "https://h:8080/some/path1234567",
        }
    )

    assert {"ware%2Dhouse9", "ware-house9", "pg-password-1", "plainly7", "flower-1", "flower-2", "odbc-pw1"} <= set(
        known
    )
    assert "second line of a key" in known
    assert not {"falsefalse", "/home/ann/project", "path1234567", "ann"} & set(known)


def test_secrets_that_pipelines_are_declared_with_are_known() -> None:
    """Of sources, of steps and of receivers, by variables and in place."""
    source = SqlSource("SELECT id, body FROM t", key="id", url_env="SALES_URL")
    pipeline = Pipeline(
        "p",
        alerts=Alerts(urls_env="OPS"),
        steps=[
            Predict("score", source=source, model=len),
            Sql(
                "load",
                "SELECT 1",
                url="postgresql://u:sql-pw-1@h/x",
                params={"api_key": "param-key-1", "day": "monday"},
            ),
            Bash("copy", "true", env={"DB_PASSWORD": "bash-pw-1", "PLACE": "somewhere"}),
        ],
    )
    environment = {"SALES_URL": "host=h user=u password='sales pw 1' dbname=x", "OPS": "slack://T1JJ3T3L2/A1BRTD4JD/x"}

    known = secrets_of([pipeline], environment)

    assert {"sales pw 1", "T1JJ3T3L2", "A1BRTD4JD", "sql-pw-1", "param-key-1", "bash-pw-1"} <= set(known)
    assert not {"monday", "somewhere", "host=h"} & set(known)


def test_without_secrets_none_is_known() -> None:
    """As for a process that has only defaults."""
    assert known_secrets(Settings(database_url=None, redis_url=None)) == []


def test_the_programs_own_name_is_hidden_in_addresses_only() -> None:
    """As a password it hides nothing, and every task's name begins with it."""
    known = known_secrets(Settings(database_url=SecretStr("postgresql://batchord:batchord@db.example/batchord")))

    assert masked("batchord.plan_step", known=known) == "batchord.plan_step"
    assert masked("at postgresql://batchord:batchord@db.example/other", known=known) == (
        "at postgresql://batchord:***@db.example/other"
    )
