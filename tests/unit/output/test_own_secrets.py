"""Which variables hold Batchord's own secrets."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from batchord.output.own_secrets import is_own_secret, own_secrets
from batchord.settings import Settings


@pytest.mark.parametrize("name", [name for name, field in Settings.model_fields.items() if "Secret" in str(field)])
def test_every_secret_setting_is_one(name: str) -> None:
    """In upper and in lower case, as settings are read; a new one counts by itself."""
    assert is_own_secret(f"BATCHORD_{name.upper()}")
    assert is_own_secret(f"batchord_{name}")


@pytest.mark.parametrize(
    "name",
    ["FLOWER_BASIC_AUTH", "FLOWER_OAUTH2_SECRET", "FLOWER_COOKIE_SECRET", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"],
)
def test_those_that_flower_and_celery_read_are(name: str) -> None:
    """They open what Batchord runs."""
    assert is_own_secret(name)


@pytest.mark.parametrize(
    "name", ["BATCHORD_HOME", "BATCHORD_PIPELINES", "BATCHORD_RUN_ID", "PATH", "HF_TOKEN", "SHOP_DATABASE_URL"]
)
def test_others_are_not(name: str) -> None:
    """Variables that hold no secret, and variables of the author."""
    assert not is_own_secret(name)


def test_a_role_that_is_not_configured_has_the_ledgers_address(tmp_path: Path) -> None:
    """So a step that asks for the author's works with one role, too; what has no value is not there."""
    one = Settings(home=tmp_path, database_url=SecretStr("postgres://u:p@db/x"))
    found = own_secrets(one, {"FLOWER_BASIC_AUTH": "a:b", "FLOWER_COOKIE_SECRET": "", "PATH": "/bin"})
    assert found == {
        **dict.fromkeys(
            ("BATCHORD_OWNER_URL", "BATCHORD_DATABASE_URL", "BATCHORD_AUTHOR_URL", "BATCHORD_SOURCE_URL"),
            "postgresql://u:p@db/x",
        ),
        "FLOWER_BASIC_AUTH": "a:b",
    }
