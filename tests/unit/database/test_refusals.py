"""Errors of PostgreSQL and libpq about certificates, and the advice that people get."""

import pytest

from batchord.database.refusals import advice_for


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("SSL error: certificate verify failed: self-signed certificate", "set sslrootcert to the file"),
        ("SSL error: certificate verify failed: certificate has expired", "renew the server's certificate"),
        ('root certificate file "/home/me/.postgresql/root.crt" does not exist', "set sslrootcert to the file"),
        ('could not read root certificate file "/ca.pem": no such file', "set sslrootcert to the file"),
        (
            'weak sslmode "require" may not be used with sslrootcert=system (use "verify-full")',
            "set sslrootcert to the file",
        ),
        (
            'server certificate for "db" does not match host name "10.0.0.1"',
            "write the host name that is in its certificate",
        ),
        (
            'server certificate for "db" (and 2 other names) does not match host name "10.0.0.1"',
            "write the host name that is in its certificate",
        ),
        ("FATAL:  connection requires a valid client certificate", "give the user's certificate"),
        ("SSL error: tlsv13 alert certificate required", "give the user's certificate"),
        ("SSL error: tlsv1 alert unknown ca", "give the user's certificate"),
        ('FATAL:  certificate authentication failed for user "me"', "give the user's certificate"),
        ('could not read certificate file "/c.pem": no start line', "correct sslcert and sslkey"),
        ('certificate present, but not private key file "/c.key"', "correct sslcert and sslkey"),
        ('private key file "/c.key" has group or world access; file must have', "correct sslcert and sslkey"),
        ('could not load private key file "/c.key": Permission denied', "correct sslcert and sslkey"),
        ('certificate does not match private key file "/c.key": key values mismatch', "correct sslcert and sslkey"),
        ("server does not support SSL, but SSL was required", "correct sslmode"),
        ('invalid sslmode value: "yes"', "correct sslmode"),
        (
            'FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "me", database "d", no encryption',
            "write sslmode=verify-full",
        ),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "me", database "d", SSL encryption', "grant the user"),
        ('FATAL:  password authentication failed for user "me"', "correct the user and the password"),
    ],
)
def test_each_refusal_has_its_advice(said: str, advice: str) -> None:
    """A problem of a certificate is not reported as one of a password."""
    assert (advice_for(said) or "").startswith(advice)


@pytest.mark.parametrize(
    "said", ["connection refused", "SSL SYSCALL error: EOF detected", "server closed the connection unexpectedly"]
)
def test_what_may_pass_is_not_a_refusal(said: str) -> None:
    """A server that restarts, a network that is away."""
    assert advice_for(said) is None
