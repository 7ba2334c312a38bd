"""Sends messages with apprise, each in a small process of its own.

Importing apprise with its plugins takes 0.3 s and 25 MB, which no worker should spend on a rare message. There are two
stronger reasons. Apprise's plugins, requests and urllib3 log whole addresses; the log of this process reaches nobody.
And a receiver that answers one byte at a time would hold a thread for ever; a process can be ended.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from batchord.core.addresses.receivers import address_name, address_schema
from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.ports import Attachment
from batchord.core.process.extras import Extra, require
from batchord.people.texts import body_text, title_text

_PROGRAM = Path(__file__).with_name("delivery.py")
#: delivery.py gives up after 8 s if a receiver does not answer. This limit is for one that answers too slowly.
_TIME_LIMIT = 30.0
_FORMS = "such as mailto://user:password@mail.example.com, slack://TokenA/TokenB/TokenC or jsons://host/path"
_LIST = "https://appriseit.com/services/ lists all forms"


class AppriseNotifier:
    """A :class:`~batchord.core.ports.Notifier`. It keeps no state, so any thread and any process may use it."""

    def __init__(self, *, time_limit: float = _TIME_LIMIT) -> None:
        self._time_limit = time_limit

    def problems(self, address: str) -> str | None:
        """The problem of an address, without its secrets; None if it can be used. It sends nothing.

        Raises TransientError if the address cannot be examined now, MissingExtra if apprise is not installed.
        """
        if not address.strip():
            return f"An alert address is empty. Give one {_FORMS}; {_LIST}."
        if address_schema(address) is None:
            return f"An alert address ({address_name(address)}) does not begin with schema://. Write it {_FORMS}."
        answer = self._ask(address, {"task": "examine"})
        return _problem(address, answer) if answer["outcome"] == "unusable" else None

    def send(self, address: str, *, title: str, body: str, failure: bool, attachment: Attachment | None = None) -> None:
        """Sends a message. Returns once the receiver has accepted it, or raises within 30 s.

        Raises TransientError if the receiver does not accept it, ConfigurationError for an address that cannot work.
        The errors show only the schema and the digest of the address. ``attachment``: left out if apprise sends no
        files to this kind of receiver.
        """
        if address_schema(address) is None:
            raise ConfigurationError(self.problems(address))
        message: dict[str, Any] = {"title": title_text(title), "body": body_text(body), "failure": failure}
        if attachment is not None:
            message["attachment"] = attachment._asdict()
        answer = self._ask(address, {"task": "send", **message})
        if answer["outcome"] == "unusable":
            raise ConfigurationError(_problem(address, answer))
        if answer["outcome"] != "sent":
            raise _refused(address, answer["why"])

    def _ask(self, address: str, task: dict[str, Any]) -> dict[str, Any]:
        require(Extra.ALERTS, for_what=f"The {address_name(address)}")
        try:
            done = subprocess.run(  # noqa: S603 -- our own file
                [sys.executable, "-P", "-W", "ignore", str(_PROGRAM)],
                # Not an argument: every user of the machine can read the arguments of a process.
                input=json.dumps({"address": address.strip(), "time_limit": self._time_limit, **task}).encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=self._time_limit,
                # Ctrl-C in a terminal must not interrupt sending: the message would be sent twice.
                start_new_session=True,
                check=False,
            )
            answer: dict[str, Any] = json.loads(done.stdout)
        except subprocess.TimeoutExpired:
            raise _refused(address, f"sending took longer than {self._time_limit:g} s") from None
        except OSError as error:
            raise _refused(address, f"no process can be started ({type(error).__name__})") from None
        except ValueError:
            raise _refused(address, f"the sending process ended with exit code {done.returncode}") from None
        return answer


def _refused(address: str, why: str) -> TransientError:
    return TransientError(
        f"The {address_name(address)} did not take the message: {why}. If this goes on, check the receiver and the "
        "address. `batchord alerts --test` tries all receivers."
    )


def _problem(address: str, answer: dict[str, Any]) -> str:
    return f"The {address_name(address)} cannot be used: {answer['why']}."
