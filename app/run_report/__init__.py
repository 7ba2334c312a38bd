"""The report of a run as one HTML file that can be sent: it needs no server, no script and no other file."""

from .page import report_page

__all__ = ["report_page"]
