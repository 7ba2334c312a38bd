"""The report of a run as one HTML file that can be sent: it needs no server, no script and no other file."""

from .made import report_of

__all__ = ["report_of"]
