"""Every setting of Batchord: its default, and the places from which its value comes.

A value comes from the environment (``BATCHORD_DATABASE_URL``, …). If the environment does not have it, it comes from
the project's ``batchord.toml``, and then from ``servers.json`` in the home, where the local stack writes the addresses
of the servers that it started. So ``celery -A batchord.app worker`` in a second terminal finds the servers of
``batchord up``.
"""

from batchord.settings.current import given_settings, settings
from batchord.settings.fields import Settings
from batchord.settings.given import PREFIX, SERVERS_FILE, Found, Given, Place, SettingProblem, find_settings
from batchord.settings.origin import origin_of, start_or_correct
from batchord.settings.problems import wrong_values

__all__ = [
    "PREFIX",
    "SERVERS_FILE",
    "Found",
    "Given",
    "Place",
    "SettingProblem",
    "Settings",
    "find_settings",
    "given_settings",
    "origin_of",
    "settings",
    "start_or_correct",
    "wrong_values",
]
