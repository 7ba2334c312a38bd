"""A beat that knows nothing of the first one: it asks for no lock, and keeps entries of its own."""

from app.celery import app

app.conf.update(redbeat_lock_key=None, redbeat_key_prefix="second:")
