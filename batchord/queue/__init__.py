"""Redis and Celery's messages: addresses and TLS, what is told of tasks, what processes share."""
