"""What a server says when it refuses a connection for good, and what a person can do about it.

libpq gives no SQLSTATE for a connection that was refused, so its words are read.
"""

import re

_REFUSALS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(words, re.IGNORECASE), advice)
    for words, advice in (
        (
            (
                r'authentication failed|no password supplied|wrong password|no such user|role ".*" does not exist|'
                r"not permitted to log in|Access denied|SASL"
            ),
            "correct the user and the password",
        ),
        (
            r'database ".*" does not exist|no such database|Unknown database',
            "create the database, or name another",
        ),
        (
            r"no pg_hba\.conf entry|permission denied|not authorized|not allowed to connect",
            "grant the user the right to connect, or let this machine in",
        ),
        (
            r"server does not support SSL|certificate|invalid sslmode|SSL is required|SSL required",
            "correct sslmode and its certificates",
        ),
        (
            (
                r"invalid (URI|connection option|port|integer)|unsupported frontend protocol|SSL negotiation|"
                r"expected authentication request|unsupported startup parameter"
            ),
            "correct the address: host, port and options",
        ),
    )
)

#: Which server it was is said by whoever tells of it.
_WHERE = re.compile(r'^(connection failed: )?(connection to server at ".*?"(, port \d+)? failed: )?(FATAL: +)?')


def advice_for(said: str) -> str | None:
    """What to do about a refusal that no later attempt will heal; None where one may."""
    return next((advice for words, advice in _REFUSALS if words.search(said)), None)


def one_line(said: str) -> str:
    """The first of the reasons that are given, without the same once more for each address of the host."""
    lines = [line.strip() for line in said.strip().splitlines() if line.strip()]
    return _WHERE.sub("", lines[0]) if lines else "no reason was given"
