"""Closes Flower: it asks for a password, answers only requests for known host names, and shows no secret.

Flower executes ``flowerconfig.py`` in this folder, because ``app.celery`` sets ``FLOWER_CONF`` to it.
"""
