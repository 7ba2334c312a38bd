"""A server's messages when it refuses a connection for good, and what a person can do about them.

libpq has no SQLSTATE for a refused connection, so we look for words in the message.
"""

import re

#: The first match counts: words about a certificate also occur in messages about a password.
_REFUSALS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(words, re.IGNORECASE), advice)
    for words, advice in (
        (
            r"no pg_hba\.conf entry.*no encryption|SSL is required|SSL required|require_secure_transport",
            "write sslmode=verify-full, and in sslrootcert= the file with the certificate of the server's CA",
        ),
        (
            # This comes before "permission denied": permission may be denied for the file of a private key.
            (
                r"could not (load|read|open|stat|access) (the |own )?(client )?(certificate|private key) file|"
                r"certificate present, but not private key|private key file .* (has group or world access|does not)|"
                r"certificate does not match private key"
            ),
            "correct sslcert and sslkey: they must belong together, and only this user may be able to read them",
        ),
        (
            (
                r"(requires|required).* valid client certificate|certificate authentication failed|"
                r"alert (certificate required|unknown ca|bad certificate)"
            ),
            "give the user's certificate in sslcert and its key in sslkey",
        ),
        (
            r"certificate for .* does not match host name|certificate .*not match",
            "write the host name that is in its certificate",
        ),
        (
            r"certificate has expired|certificate is not yet valid",
            "renew the server's certificate, or correct this machine's clock",
        ),
        (
            r"root certificate file|certificate verify failed|sslrootcert|certificate could not be (obtained|verified)",
            "set sslrootcert to the file with the certificate of the server's CA",
        ),
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
            "grant the user the right to connect, or allow this machine to connect",
        ),
        (
            r"server does not support SSL|certificate|sslmode",
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

#: The name of the server, which is cut off: the caller's message has it.
_WHERE = re.compile(r'^(connection failed: )?(connection to server at ".*?"(, port \d+)? failed: )?(FATAL: +)?')


def advice_for(message: str) -> str | None:
    """What to do about a refusal, if no later attempt can succeed; None if one may."""
    return next((advice for words, advice in _REFUSALS if words.search(message)), None)


def one_line(message: str) -> str:
    """The first reason in ``message``, which repeats the reason for each address of the host."""
    lines = [line.strip() for line in message.strip().splitlines() if line.strip()]
    return _WHERE.sub("", lines[0]) if lines else "the server gave no reason"
