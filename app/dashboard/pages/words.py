"""Writes addresses and links for pages. What returns HTML says so, and escapes its values itself."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from tornado.escape import xhtml_escape


def prefix_of(options: Any) -> str:
    """What all addresses of a Flower begin with: its ``url_prefix`` with a slash, or nothing."""
    return "/" + options.url_prefix.strip("/") if options.url_prefix else ""


def address(prefix: str, *parts: str, **query: str | int | None) -> str:
    """The address of a page. Each of the ``parts`` may hold any character. None leaves a part of the query out."""
    path = "".join(f"/{quote(part, safe='')}" for part in parts) or "/"
    given: Mapping[str, str | int] = {name: value for name, value in query.items() if value is not None}
    return f"{prefix}{path}" + (f"?{urlencode(given)}" if given else "")


def link(target: str, text: str) -> str:
    """HTML: a link to ``target``, an address of :func:`address`."""
    return f'<a href="{xhtml_escape(target)}">{xhtml_escape(text)}</a>'
