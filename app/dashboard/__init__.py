"""Flower, closed: it asks for a password, answers to known names only, and shows no secret.

Flower executes ``flowerconfig.py`` of this folder: ``app.celery`` points ``FLOWER_CONF`` at it.
"""
