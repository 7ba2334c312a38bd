"""Which texts must not be in a log."""

from pydantic import SecretStr

from app.core.secrets import masked
from app.known_secrets import known_secrets
from app.settings import Settings


def test_passwords_of_the_settings_are_known() -> None:
    """Whole addresses and the passwords in them, decoded too; names and hosts are no secrets."""
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
    assert masked("at redis://:redis-secret@cache.example/0!", known=known) == "at ***!"


def test_tokens_in_alert_addresses_are_known() -> None:
    """Several addresses in one setting or in a list."""

    class WithAlerts(Settings):
        alert_urls: SecretStr | None = None
        more_alerts: tuple[SecretStr, ...] = ()

    known = known_secrets(
        WithAlerts(
            alert_urls=SecretStr("https://hooks.example/services/T0/B0/abcdef, mailto://u:mail-secret@example.org"),
            more_alerts=(SecretStr("slack://one/two/three"),),
        )
    )

    assert {"services/T0/B0/abcdef", "mail-secret", "slack://one/two/three", "two/three"} <= set(known)
    assert "services" not in masked("POST /services/T0/B0/abcdef failed", known=known)


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
