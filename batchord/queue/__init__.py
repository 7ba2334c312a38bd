"""Redis and Celery: connections and TLS, Celery's messages, replies and events, and what workers show beat."""
