"""Sends alerts to people: each alert at least once to each receiver, even if a sender dies."""

import logging
from functools import partial

from batchord.core.addresses.receivers import address_digest, split_addresses
from batchord.core.errors import ConfigurationError, LeaseLost, TransientError
from batchord.core.process.fault_points import fault
from batchord.core.run.alerts import Alert
from batchord.core.run.messages import Message
from batchord.flow.attempt.attempt import Attempt, Line
from batchord.flow.attempt.heartbeat import Heartbeat
from batchord.flow.attempt.policy import Policy, Verdict
from batchord.flow.parts import Parts
from batchord.flow.upkeep.attach import AttachedReport

log = logging.getLogger(__name__)

#: The attempts after which an alert is given up. They take about a day.
MOST_ATTEMPTS = 15
_FIRST_WAIT, _LONGEST_WAIT = 30.0, 4 * 3600.0


def send_alerts(parts: Parts) -> int:
    """Sends the alerts that are due; returns how many of them every receiver has. Several senders share the work."""
    done = 0
    while (alert := parts.ledger.alerts.claim(lease_seconds=parts.settings.lease_seconds)) is not None:
        sending = _Sending(parts, alert)
        sending.make()
        done += sending.taken
    return done


class _Untaken(TransientError):
    """A receiver did not accept an alert."""


class _Sending(Attempt[None]):
    """An attempt to send an alert. It has no log, since it belongs to no step."""

    def __init__(self, parts: Parts, alert: Alert) -> None:
        self._parts = parts
        self._alert = alert
        self._seconds = parts.settings.lease_seconds
        self.every = self._seconds / 3
        #: Whether every receiver has it now.
        self.taken = False

    def renew(self) -> None:
        self._parts.ledger.alerts.renew(self._alert, lease_seconds=self._seconds)

    def work(self, beat: Heartbeat, line: Line) -> None:  # noqa: ARG002 -- its lease cannot be lost, and it has no log
        errors = _send(self._parts, self._alert)
        if errors is not None:
            raise _Untaken(errors)

    def policy(self) -> Policy:
        attempts = self._alert.attempts + 1
        return Policy(
            own_attempts=attempts,
            attempts=attempts,
            most_attempts=MOST_ATTEMPTS,
            wait=lambda attempt: min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempt - 1)),
        )

    def tell(self, error: BaseException, verdict: Verdict) -> None:
        if not isinstance(error, _Untaken):
            return
        alert = (self._alert.id, self._alert.title)
        if verdict.again:
            log.warning("Some receivers did not take alert %s (%s). It will be sent to them again: %s", *alert, error)
        else:
            log.error("Alert %s (%s) was given up after %s attempts: %s", *alert, MOST_ATTEMPTS, error)

    def done(self, result: None, beat: Heartbeat) -> list[Message]:  # noqa: ARG002 -- the base class's
        self._parts.ledger.alerts.close(self._alert)
        self.taken = True
        return []

    def failed(self, error: BaseException, verdict: Verdict, beat: Heartbeat) -> list[Message]:  # noqa: ARG002 -- as above
        if not isinstance(error, _Untaken):  # the alert is due again when its lease runs out
            raise error
        alerts = self._parts.ledger.alerts
        if verdict.again:
            alerts.postpone(self._alert, seconds=verdict.wait or 0, error=str(error))
        else:
            alerts.close(self._alert, error=f"given up: {error}")
        return []

    def lease_lost(self, error: LeaseLost) -> list[Message]:  # noqa: ARG002 -- as above
        return []


def receivers(parts: Parts, pipeline: str | None) -> list[str]:
    """The addresses for all pipelines and the pipeline's own, each once; without a pipeline only the former."""
    configured = parts.settings.alert_urls
    text = "" if configured is None else configured.get_secret_value()
    own = None if pipeline is None else _urls_env(parts, pipeline)
    return list(split_addresses(f"{text} {parts.environment.get(own or '', '')}"))


def missing_env(parts: Parts, pipeline: str) -> str | None:
    """The variable for the pipeline's receivers, if this process does not have it; otherwise None."""
    own = _urls_env(parts, pipeline)
    return own if own is not None and own not in parts.environment else None


def _urls_env(parts: Parts, pipeline: str) -> str | None:
    try:
        return parts.catalog.get(pipeline).alerts.urls_env
    except ConfigurationError:  # its file is gone or broken; the other receivers still get the alert
        return None


def _send(parts: Parts, alert: Alert) -> str | None:
    """Sends the alert. Returns what went wrong; None if every receiver has it."""
    errors = []
    missing = missing_env(parts, alert.pipeline)
    if missing is not None:
        errors.append(f"{missing} is not set where this worker runs")
    report = AttachedReport(parts, alert)
    for address in receivers(parts, alert.pipeline):
        receiver = address_digest(address)
        if receiver in alert.sent:
            continue
        try:
            _send_to(parts, alert, address, report)
        except (TransientError, ConfigurationError) as error:
            errors.append(str(error))
            continue
        fault("before-alert-noted")
        parts.ledger.alerts.note_sent(alert, receiver)
    return "; ".join(errors) or None


def _send_to(parts: Parts, alert: Alert, address: str, report: AttachedReport) -> None:
    """Sends the alert to one receiver, with the run's report if it is to get it and takes it. Raises like the port."""
    send = partial(parts.notifier.send, address, title=f"[batchord] {alert.title}", failure=not alert.good_news)
    body = parts.mask(alert.message)
    if not report.is_for(address):
        send(body=body)
        return
    attachment = report.attachment
    if isinstance(attachment, str):
        send(body=f"{body}\n\n{report.note(attachment)}")
        return
    try:
        send(body=body, attachment=attachment)
    except TransientError:  # it may refuse the attachment alone, such as for its size
        send(body=f"{body}\n\n{report.note('the receiver did not take it')}")
