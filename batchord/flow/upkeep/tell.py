"""Messages to people are sent: each at least once to each receiver, whoever dies in between."""

import logging
from functools import partial

from batchord.core.addresses.receivers import address_digest, split_addresses
from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.process.faults import fault
from batchord.core.run.alerts import Alert
from batchord.flow.attempt.heartbeat import Heartbeat
from batchord.flow.parts import Parts

log = logging.getLogger(__name__)

#: Attempts at a message before it is given up, after about a day.
MOST_ATTEMPTS = 15
_FIRST_WAIT, _LONGEST_WAIT = 30.0, 4 * 3600.0


def send_alerts(parts: Parts) -> int:
    """Sends what is due; returns how many messages every receiver has now. Several at once share the work."""
    done = 0
    seconds = parts.settings.lease_seconds
    while (alert := parts.ledger.alerts.claim(lease_seconds=seconds)) is not None:
        renew = partial(parts.ledger.alerts.renew, alert, lease_seconds=seconds)
        with Heartbeat(renew, every=seconds / 3):
            error = _send(parts, alert)
        if error is None:
            parts.ledger.alerts.close(alert)
            done += 1
        elif alert.attempts + 1 >= MOST_ATTEMPTS:
            log.error("Alert %s (%s) was given up after %s attempts: %s", alert.id, alert.title, MOST_ATTEMPTS, error)
            parts.ledger.alerts.close(alert, error=f"given up: {error}")
        else:
            log.warning(
                "Some receivers did not take alert %s (%s). It will be sent to them again: %s",
                alert.id,
                alert.title,
                error,
            )
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2**alert.attempts)
            parts.ledger.alerts.postpone(alert, seconds=wait, error=error)
    return done


def receivers(parts: Parts, pipeline: str | None) -> list[str]:
    """Everybody's and the pipeline's own, each once; without a pipeline everybody's."""
    configured = parts.settings.alert_urls
    text = "" if configured is None else configured.get_secret_value()
    own = None if pipeline is None else _urls_env(parts, pipeline)
    return list(split_addresses(f"{text} {parts.environment.get(own or '', '')}"))


def _missing_env(parts: Parts, pipeline: str) -> str | None:
    """The variable that the pipeline names for its receivers and that this process lacks."""
    own = _urls_env(parts, pipeline)
    return own if own is not None and own not in parts.environment else None


def _urls_env(parts: Parts, pipeline: str) -> str | None:
    try:
        return parts.catalog.get(pipeline).alerts.urls_env
    except ConfigurationError:  # its file has gone, or cannot be read; that it failed is told all the same
        return None


def _send(parts: Parts, alert: Alert) -> str | None:
    """What went wrong; None when every receiver has it."""
    errors = []
    missing = _missing_env(parts, alert.pipeline)
    if missing is not None:
        errors.append(f"{missing} is not set where this worker runs")
    for address in receivers(parts, alert.pipeline):
        receiver = address_digest(address)
        if receiver in alert.sent:
            continue
        try:
            parts.notifier.send(
                address,
                title=f"[batchord] {alert.title}",
                body=parts.mask(alert.message),
                failure=not alert.good_news,
            )
        except (TransientError, ConfigurationError) as error:
            errors.append(str(error))
            continue
        fault("before-alert-noted")
        parts.ledger.alerts.note_sent(alert, receiver)
    return "; ".join(errors) or None
