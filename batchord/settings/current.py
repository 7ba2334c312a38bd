"""The settings of this process."""

from functools import cache

from pydantic import ValidationError

from batchord.core.errors import ConfigurationError
from batchord.core.text.error_text import clause
from batchord.settings.fields import Settings
from batchord.settings.given import find_settings
from batchord.settings.problems import refusal, wrong_values


@cache
def settings() -> Settings:
    """The settings of this process, read once. Raises ConfigurationError, which names everything that is wrong."""
    try:
        return Settings()
    except (ConfigurationError, ValidationError) as error:
        found = find_settings(Settings.model_fields)
        problems = [*found.problems, *wrong_values(found, Settings.model_fields)]
        if not problems:  # somebody has corrected a file meanwhile
            raise ConfigurationError(f"The settings cannot be used: {clause(error)}. Start again.") from None
        raise refusal(problems) from None


def given_settings() -> frozenset[str]:
    """The names of the settings that a person gave, in the environment or in batchord.toml."""
    return find_settings(Settings.model_fields).without_stack()
