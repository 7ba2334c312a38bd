"""The worker's own connection to Redis."""

from kombu import Connection
from kombu.transport import redis as kombus

from workers.transport import TolerantTransport


def test_a_channel_keeps_one_client_for_its_commands(redis_url: str) -> None:
    """To make one for each, as Kombu does, takes longer than to send some of the commands."""
    with Connection(redis_url, transport=TolerantTransport) as connection:
        channel = connection.channel()
        with channel.conn_or_acquire() as one, channel.conn_or_acquire() as other:
            assert one is other
            assert one.ping()


def test_a_channel_whose_connections_were_closed_gets_a_client_of_its_new_ones(redis_url: str) -> None:
    """A fork closes them; a client with the old ones would share a socket with its parent."""
    with Connection(redis_url, transport=TolerantTransport) as connection:
        channel = connection.channel()
        with channel.conn_or_acquire() as before:
            pass
        kombus._after_fork_cleanup_channel(channel)  # noqa: SLF001 -- what Kombu calls after a fork
        with channel.conn_or_acquire() as after:
            assert after.connection_pool is channel.pool
            assert after.connection_pool is not before.connection_pool
            assert after.ping()


def test_a_client_that_listens_has_connections_of_its_own(redis_url: str) -> None:
    """It waits for messages on them while others send."""
    with Connection(redis_url, transport=TolerantTransport) as connection:
        channel = connection.channel()
        with channel.conn_or_acquire() as sends:
            assert channel.client.connection_pool is not sends.connection_pool
            assert channel.client is not channel.subclient
