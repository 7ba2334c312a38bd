"""The person who gives a command, for the history of changes."""

import os
import pwd
import socket

from batchord.core.run.history import MOST_NAME, Actor, Way


def this_person() -> Actor:
    """The user of this process, with the user who called sudo, and this machine."""
    number = os.geteuid()
    try:
        user = pwd.getpwuid(number).pw_name
    except KeyError:  # a container may have no name for the user
        user = str(number)
    before = os.environ.get("SUDO_USER")
    if before and before != user:
        user = f"{before} as {user}"
    return Actor(user=user[:MOST_NAME], host=socket.gethostname()[:MOST_NAME], way=Way.COMMAND)
