"""Keeps transformers from drawing progress bars over the demo's own output."""


def quiet_transformers() -> None:
    """Makes transformers log only errors and draw no progress bars in this process."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
