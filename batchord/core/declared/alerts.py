"""The alerts that an author asks for."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class Alerts:
    """What a pipeline's people want to know besides runs that fail, and where they are told.

    Failed and partial runs, and findings of the audit, send alerts without being asked.
    """

    #: Environment variable, where the control workers run, that holds this pipeline's own receivers: apprise
    #: addresses, separated by white space or commas. They are told besides those of ``BATCHORD_ALERT_URLS``.
    urls_env: str | None = None
    #: Age of the oldest record without a prediction or rejection, by its arrival, which must be a time.
    max_record_age: timedelta | None = None
    #: From a run's start to its end.
    max_run_time: timedelta | None = None
    #: Since the end of the newest run that succeeded.
    max_time_without_success: timedelta | None = None

    def problems(self) -> list[str]:
        """What is wrong with the declaration, one sentence each."""
        found = []
        for name in ("max_record_age", "max_run_time", "max_time_without_success"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, timedelta) or value <= timedelta(0)):
                found.append(f"alerts: {name}={value!r}: give a timedelta above zero, such as timedelta(hours=1)")
        if self.urls_env is not None and (not isinstance(self.urls_env, str) or "://" in self.urls_env):
            found.append("alerts: urls_env= must be the name of an environment variable: an address holds secrets")
        return found
