"""The alerts that an author asks for."""

from dataclasses import dataclass
from datetime import timedelta

from batchord.core.text.calls import NamesOptions


@dataclass(frozen=True, kw_only=True)
class Alerts(NamesOptions):
    """Which alerts a pipeline sends besides those that it always sends, and who receives them.

    It always sends alerts about failed and partial runs and about findings of the audit.

    Args:
        urls_env: Name of an environment variable of the control workers. It holds this pipeline's own receivers:
            apprise addresses, separated by white space or commas. They get the alerts as well as those of
            ``BATCHORD_ALERT_URLS``.
        max_record_age: The greatest age of a record without a prediction or rejection. Its arrival must be a time.
        max_run_time: The longest time from a run's start to its end.
        max_time_without_success: The longest time since the end of the newest run that succeeded.
    """

    urls_env: str | None = None
    max_record_age: timedelta | None = None
    max_run_time: timedelta | None = None
    max_time_without_success: timedelta | None = None

    def problems(self) -> list[str]:
        """The problems of the declaration, one sentence each."""
        problems = []
        for name in ("max_record_age", "max_run_time", "max_time_without_success"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, timedelta) or value <= timedelta(0)):
                problems.append(f"alerts: {name}={value!r}: give a timedelta above zero, such as timedelta(hours=1)")
        if self.urls_env is not None and (not isinstance(self.urls_env, str) or "://" in self.urls_env):
            problems.append("alerts: urls_env= must be the name of an environment variable: an address holds secrets")
        return problems
