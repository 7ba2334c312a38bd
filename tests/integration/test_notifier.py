"""Messages reach real receivers, or an error says so; no secret of an address leaves it either way."""

import base64
import json
import logging
import sys
import time
from collections.abc import Iterator
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

import pytest

from batchord.core.addresses.receivers import address_digest
from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.ports import Attachment
from batchord.people import AppriseNotifier
from tests.integration.receivers import MailServer, Webhook, closed_place, silent_place

USER, PASSWORD, PATH, QUERY = "us3r-name", "pa55w0rd", "pa7h-t0ken", "qu3ry-t0ken"
TITLE = "reviews: the run failed"
BODY = "Run 17 of reviews failed after its last retry.\nA <b>bold</b> & *starred* line\\nwith 5 % of ümläuts."


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A web server that takes everything."""
    with Webhook().serving() as serving:
        yield serving


def address_of(place: str, *, schema: str = "json") -> str:
    """An address with a secret in each of its parts."""
    return f"{schema}://{USER}:{PASSWORD}@{place}/{PATH}?-key={QUERY}"


def send(address: str, *, title: str = TITLE, body: str = BODY, failure: bool = True, within: float = 30.0) -> None:
    """Sends a message to one address."""
    AppriseNotifier(time_limit=within).send(address, title=title, body=body, failure=failure)


def without_secrets(*texts: str) -> bool:
    """Whether none of the secrets stands in any of the texts."""
    return not any(secret in text for text in texts for secret in (USER, PASSWORD, PATH, QUERY))


def test_a_message_reaches_a_webhook_unchanged(webhook: Webhook) -> None:
    """JSON, with the credentials where the receiver expects them."""
    send(address_of(webhook.place))

    (request,) = webhook.requests
    said = json.loads(request.body)
    assert (said["title"], said["message"], said["type"]) == (TITLE, BODY, "failure")
    assert request.path == f"/{PATH}?key={QUERY}"
    assert request.headers["Authorization"] == f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"


def test_good_news_is_marked_as_such(webhook: Webhook) -> None:
    """Receivers colour messages by their kind."""
    send(address_of(webhook.place), failure=False)

    assert json.loads(webhook.requests[0].body)["type"] == "success"


def test_forms_and_xml_are_sent_too(webhook: Webhook) -> None:
    """The message arrives as plain text in each of apprise's forms of webhooks."""
    send(address_of(webhook.place, schema="form"))
    send(address_of(webhook.place, schema="xml"))

    form, xml = (request.body for request in webhook.requests)
    assert parse_qs(form)["message"] == [BODY]
    assert [each.text for each in ET.fromstring(xml).iter() if each.tag.endswith("Message")] == [BODY]  # noqa: S314 -- our own


def test_a_receiver_that_fails_once_takes_the_next_attempt() -> None:
    """Each call makes one attempt. The caller has the backoff."""
    with Webhook(500).serving() as webhook:
        address = f"{address_of(webhook.place)}&retry=5"
        with pytest.raises(TransientError, match="answered with status 500"):
            send(address)
        send(address)

    assert len(webhook.requests) == 2


def test_optional_receivers_must_take_the_message_too() -> None:
    """Apprise would call a message sent that an optional receiver did not take."""
    with Webhook(403).serving() as webhook, pytest.raises(TransientError, match="status 403"):
        send(f"{address_of(webhook.place)}&optional=yes")


def test_a_redirect_is_a_refusal() -> None:
    """Following it would ask for a page and lose the message."""
    with Webhook(302).serving() as webhook, pytest.raises(TransientError, match="status 302"):
        send(address_of(webhook.place))

    assert [request.path for request in webhook.requests] == [f"/{PATH}?key={QUERY}"]


def test_a_receiver_that_is_down_is_named_without_its_secrets() -> None:
    """The digest tells which of several it is."""
    address = address_of(closed_place())

    with pytest.raises(TransientError) as raised:
        send(address)

    assert f"json receiver {address_digest(address)} did not take the message" in str(raised.value)
    assert without_secrets(str(raised.value), repr(raised.value))
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize("schema", ["json", "mailto"])
def test_a_receiver_that_never_answers_is_given_up(schema: str) -> None:
    """Its patience is bounded, whatever the plugin's or the address's own."""
    began = time.monotonic()

    with silent_place() as place, pytest.raises(TransientError, match="no answer in time"):
        send(f"{address_of(place, schema=schema)}&rto=3000&cto=3000&from=a@example.org&to=b@example.org")

    assert time.monotonic() - began < 20  # 8 s of patience, on a machine that may be slow


def test_a_receiver_that_dawdles_is_given_up() -> None:
    """One byte now and then resets every socket's timeout; the process is ended."""
    with silent_place(drip=b"H") as place, pytest.raises(TransientError, match="longer than 3 s"):
        send(address_of(place), within=3.0)


def test_mail_arrives_with_its_subject_and_body() -> None:
    """Logged in, from the address's user to the recipient that it names, as plain text."""
    server = MailServer(user=USER, password=PASSWORD)
    with server.serving() as place:
        send(f"mailto://{USER}:{PASSWORD}@{place}/?from=batchord@example.org&to=ops@example.org")

    (mail,) = server.mails
    assert (mail.sender, mail.recipients) == ("batchord@example.org", ["ops@example.org"])
    assert (mail.message["Subject"], mail.message["To"]) == (TITLE, "ops@example.org")
    assert "batchord@example.org" in mail.message["From"]
    assert mail.message.get_content_type() == "text/plain"
    assert mail.message.get_content().splitlines() == BODY.splitlines()


def test_a_title_adds_no_header_to_a_mail() -> None:
    """A title may hold what a user wrote."""
    server = MailServer(user=USER, password=PASSWORD)
    with server.serving() as place:
        send(f"mailto://{place}/?from=a@example.org&to=b@example.org", title="failed\r\nBcc: all@example.org\r\n\r\nx")

    (mail,) = server.mails
    assert mail.recipients == ["b@example.org"]
    assert (mail.message["Subject"], mail.message["Bcc"]) == ("failed Bcc: all@example.org x", None)


def test_a_wrong_password_and_a_refused_mailbox_are_named_by_their_status() -> None:
    """The status says what to repair."""
    with MailServer(user=USER, password="another", refused="ops@example.org").serving() as place:  # noqa: S106 -- a test's
        with pytest.raises(TransientError, match="status 535") as wrong:
            send(f"mailto://{USER}:{PASSWORD}@{place}/?from=a@example.org&to=b@example.org")
        with pytest.raises(TransientError, match="status 550"):
            send(f"mailto://{place}/?from=a@example.org&to=ops@example.org")

    assert without_secrets(str(wrong.value))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (" ", "is empty"),
        (PASSWORD, "does not begin with schema://"),
        (f"carrierpigeon://{PASSWORD}", "does not know carrierpigeon://"),
        (f"slack://{PASSWORD}", "the part after slack:// is incomplete or wrong"),
        (f"json://[::1/{PATH}", "the part after json:// is incomplete or wrong"),
        (f"file:///{PATH}", "does not know file://"),
        (f"json://\udc80:{PASSWORD}@", "the part after json:// is incomplete or wrong"),
    ],
)
def test_an_address_that_nobody_can_use_is_explained_without_it(address: str, expected: str) -> None:
    """Both in the check before sending and in the error of sending."""
    problem = AppriseNotifier().problems(address)

    assert problem is not None
    assert expected in problem
    with pytest.raises(ConfigurationError) as raised:
        send(address)
    assert str(raised.value) == problem
    assert without_secrets(problem)


@pytest.mark.parametrize(
    "address",
    [
        f"json://{USER}:{PASSWORD}@127.0.0.1:9/{PATH}",
        f"mailto://{USER}:{PASSWORD}@example.org",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23general",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    ],
)
def test_examining_an_address_sends_nothing(address: str) -> None:
    """A usable address has no problem, with or without a server at it."""
    assert AppriseNotifier().problems(address) is None


def test_no_secret_reaches_a_log_or_a_stream(
    webhook: Webhook, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Apprise, requests and urllib3 log paths and users when they may."""
    caplog.set_level(logging.DEBUG)
    for name in ("apprise", "requests", "urllib3"):
        caplog.set_level(logging.DEBUG, logger=name)
    notifier = AppriseNotifier()

    notifier.problems(address_of(webhook.place))
    notifier.send(address_of(webhook.place), title=TITLE, body=BODY, failure=True)
    with pytest.raises(TransientError):
        notifier.send(address_of(closed_place()), title=TITLE, body=BODY, failure=True)

    written = capfd.readouterr()
    assert without_secrets(caplog.text, written.out, written.err, repr(notifier), str(vars(notifier)))


def test_the_one_who_sends_stays_light(webhook: Webhook) -> None:
    """Apprise and its plugins are loaded where they are used, which ends with the message."""
    send(address_of(webhook.place))

    assert "apprise" not in sys.modules


def test_long_messages_are_cut(webhook: Webhook) -> None:
    """Receivers refuse messages that are too long, and then the alert would be lost."""
    send(address_of(webhook.place), title="t" * 500, body="b" * 100_000)

    said = json.loads(webhook.requests[0].body)
    assert (len(said["title"]), len(said["message"])) == (200, 4000)
    assert said["message"].endswith("b …")


def test_a_message_without_a_body_is_its_title(webhook: Webhook) -> None:
    """Apprise sends no empty bodies."""
    send(address_of(webhook.place), body=" ")

    assert json.loads(webhook.requests[0].body)["message"] == TITLE


REPORT = Attachment(name="reviews-17.html", kind="text/html", text="<!doctype html>\n<p>Grüße</p>\n")


def test_a_file_goes_with_a_mail_and_with_json(webhook: Webhook) -> None:
    """As an attachment of the mail, whose text stays as it was; in base64 for a webhook."""
    server = MailServer(user=USER, password=PASSWORD)
    with server.serving() as place:
        address = f"mailto://{USER}:{PASSWORD}@{place}/?from=batchord@example.org&to=ops@example.org"
        AppriseNotifier().send(address, title=TITLE, body=BODY, failure=True, attachment=REPORT)
    AppriseNotifier().send(address_of(webhook.place), title=TITLE, body=BODY, failure=True, attachment=REPORT)

    (mail,) = server.mails
    text = mail.message.get_body(("plain",))
    (file,) = mail.message.iter_attachments()
    assert text is not None
    assert text.get_content().splitlines() == BODY.splitlines()
    assert (file.get_filename(), file.get_content_type()) == (REPORT.name, REPORT.kind)
    assert file.get_payload(decode=True) == REPORT.text.encode()
    (posted,) = json.loads(webhook.requests[0].body)["attachments"]
    assert (posted["filename"], posted["mimetype"]) == (REPORT.name, REPORT.kind)
    assert base64.b64decode(posted["base64"]) == REPORT.text.encode()


def test_a_receiver_without_files_gets_the_message_alone(webhook: Webhook) -> None:
    """Apprise sends none to some kinds of receivers."""
    address = f"gotify://{webhook.place}/{PATH}"
    AppriseNotifier().send(address, title=TITLE, body=BODY, failure=True, attachment=REPORT)

    assert REPORT.name not in webhook.requests[0].body
    assert BODY.splitlines()[0] in webhook.requests[0].body
