"""Sends messages with apprise, each from a small process of its own.

Importing apprise with its plugins takes 0.3 s and 25 MB, which no worker should carry for a message now and then.
What settled it: its plugins, requests and urllib3 log whole addresses, and a receiver that answers one byte at a
time holds a thread for ever. A process can be ended, and what it logs reaches nobody.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from batchord.core.addresses.receivers import address_name, address_schema
from batchord.core.errors import ConfigurationError, TransientError
from batchord.people.texts import body_text, title_text

_PROGRAM = Path(__file__).with_name("delivery.py")
#: A receiver that says nothing is given up after 8 s, see delivery.py; this ends one that dawdles.
_TIME_LIMIT = 30.0
_FORMS = "such as mailto://user:password@mail.example.com, slack://TokenA/TokenB/TokenC or jsons://host/path"
_LIST = "https://appriseit.com/services/ lists all forms"


class AppriseNotifier:
    """A :class:`~batchord.core.ports.Notifier`. Holds nothing, so that any thread and any process may use it."""

    def __init__(self, *, time_limit: float = _TIME_LIMIT) -> None:
        self._time_limit = time_limit

    def problems(self, address: str) -> str | None:
        """What is wrong with the address, without its secrets; None when it can be used. Sends nothing.

        Raises TransientError when it cannot be examined now.
        """
        if not address.strip():
            return f"An alert address is empty. Give one {_FORMS}; {_LIST}."
        if address_schema(address) is None:
            return f"An alert address ({address_name(address)}) does not begin with schema://. Write it {_FORMS}."
        said = self._ask(address, {"task": "examine"})
        return _problem(address, said) if said["outcome"] == "unusable" else None

    def send(self, address: str, *, title: str, body: str, failure: bool) -> None:
        """Sends a message; returns when the receiver has taken it, raises within 30 s otherwise.

        Raises TransientError when the receiver does not take it, ConfigurationError for an address that nobody
        can use. Neither names more of the address than its schema and digest.
        """
        if address_schema(address) is None:
            raise ConfigurationError(self.problems(address))
        message = {"title": title_text(title), "body": body_text(body), "failure": failure}
        said = self._ask(address, {"task": "send", **message})
        if said["outcome"] == "unusable":
            raise ConfigurationError(_problem(address, said))
        if said["outcome"] != "sent":
            raise _refused(address, said["why"])

    def _ask(self, address: str, task: dict[str, Any]) -> dict[str, Any]:
        try:
            done = subprocess.run(  # noqa: S603 -- our own file
                [sys.executable, "-P", "-W", "ignore", str(_PROGRAM)],
                # Not as an argument: every user of the machine can read those.
                input=json.dumps({"address": address.strip(), "time_limit": self._time_limit, **task}).encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=self._time_limit,
                # Ctrl-C in a terminal must not cut a message in half: it would be sent twice.
                start_new_session=True,
                check=False,
            )
            said: dict[str, Any] = json.loads(done.stdout)
        except subprocess.TimeoutExpired:
            raise _refused(address, f"sending took longer than {self._time_limit:g} s") from None
        except OSError as error:
            raise _refused(address, f"no process can be started ({type(error).__name__})") from None
        except ValueError:
            raise _refused(address, f"the sending process ended with exit code {done.returncode}") from None
        return said


def _refused(address: str, why: str) -> TransientError:
    return TransientError(
        f"The {address_name(address)} did not take the message: {why}. If this goes on, check the receiver and the "
        "address. `batchord alerts --test` tries all receivers."
    )


def _problem(address: str, said: dict[str, Any]) -> str:
    return f"The {address_name(address)} cannot be used: {said['why']}."
