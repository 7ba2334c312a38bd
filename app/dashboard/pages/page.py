"""A page: behind Flower's login, its report read in a thread, kept current while somebody looks at it."""

import hashlib
import json
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from flower.views import BaseHandler
from tornado.ioloop import IOLoop
from tornado.web import HTTPError, RequestHandler, authenticated

from batchord.core.errors import BatchordError, TransientError
from batchord.output.masking import mask
from batchord.queue.replies import ASKER

from ...drawing.words import duration, lasted, moment, number, told
from . import words

_Result = TypeVar("_Result")
STATIC = Path(__file__).with_name("static")
#: Scripts and styles come from this server alone, and nothing in a page is executed.
_POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
_NOTICE = "batchord_notice"
#: The most characters of a notice: browsers drop large cookies.
_MOST_NOTICE = 1_000
#: Seconds after which a page that shows work in progress asks again, and those of any other page.
AT_WORK, AT_REST = 2.0, 15.0


@cache
def version_of(name: str) -> str:
    """The first characters of the digest of a static file, so that a browser keeps it until it changes."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


class Ours(BaseHandler):  # type: ignore[misc]
    """What all our handlers share."""

    def set_default_headers(self) -> None:
        """Adds the policy for content to Flower's headers."""
        super().set_default_headers()
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("Referrer-Policy", "same-origin")

    @property
    def prefix(self) -> str:
        """What all addresses begin with."""
        return words.prefix_of(self.application.options)

    @property
    def xsrf_token(self) -> bytes:
        """The token in the browser's cookie as it is. Tornado would write it in another way for each answer."""
        kept = self.get_cookie("_xsrf")
        token: bytes = kept.encode() if kept and self._decode_xsrf_token(kept)[1] else super().xsrf_token
        return token

    @property
    def may_act(self) -> bool:
        """Whether the person may change something."""
        return not self.application.options.read_only and not self.application.only_looks(ASKER.get())

    def address(self, *parts: str, **query: str | int | None) -> str:
        """The address of one of our pages."""
        return words.address(self.prefix, *parts, **query)

    async def in_thread(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Calls the function in a thread: while it waits for the database, Flower serves others."""
        result: _Result = await IOLoop.current().run_in_executor(None, function, *arguments)
        return result

    def get_template_namespace(self) -> dict[str, Any]:
        """What our templates use besides Flower's own functions."""
        return {
            **super().get_template_namespace(),
            "number": number,
            "duration": duration,
            "lasted": lasted,
            "moment": moment,
            "told": told,
            "link": words.link,
            "address": self.address,
            "may_act": self.may_act,
            "static": lambda name: f"{self.prefix}/batchord-static/{name}?v={version_of(name)}",
            "url_prefix": self.application.options.url_prefix,
        }


class Page(Ours):
    """A page. A subclass names its template and returns what the template shows.

    The template has the part that is kept current in a file of its own: ``runs.html`` includes ``runs_live.html``.
    """

    #: The name of the template without ``.html``.
    template: ClassVar[str]
    #: The tab that is marked.
    tab: ClassVar[str] = ""
    #: Returns what the template shows. It runs in a thread, and gets the parts of the address, decoded. Its entry
    #: ``at_work`` says whether something on the page changes every moment. It raises BatchordError, or HTTPError with
    #: 404 if there is no such thing.
    content: Callable[..., dict[str, Any]]

    @authenticated  # type: ignore[untyped-decorator]
    async def get(self, *names: str) -> None:
        """Answers with the page, or with its live part alone if the page's script asks."""
        try:
            shown = await self.in_thread(self.content, *names)
        except BatchordError as error:
            self._show_problem(error)
            return
        seconds = AT_WORK if shown.get("at_work") else AT_REST
        if self.get_query_argument("live", None) is not None:
            html = self.render_string(f"batchord/{self.template}_live.html", **shown).decode()
            # Nothing of a page is worth keeping, but an unchanged part need not travel again: Tornado compares digests.
            self.set_header("Cache-Control", "no-cache, private")
            self.set_header("Content-Type", "application/json")
            self.finish(json.dumps({"html": html, "seconds": seconds}))
            return
        self.render(f"batchord/{self.template}.html", tab=self.tab, notice=self._notice(), seconds=seconds, **shown)

    def turns(self, *, before: str | None, older: str | None, **query: str | None) -> dict[str, str | None]:
        """The addresses with which the template ``pager.html`` turns the pages of a list; None for none.

        ``before``: the mark that the address of this page has. ``older``: the mark of the next page. ``query``: the
        filter.
        """
        return {
            "newest": before and self.address(self.template, **query),
            "older": older and self.address(self.template, **query, before=older),
        }

    def _show_problem(self, error: BatchordError) -> None:
        passing = isinstance(error, TransientError)
        self.set_status(HTTPStatus.SERVICE_UNAVAILABLE if passing else HTTPStatus.BAD_REQUEST)
        self.render("batchord/problem.html", tab=self.tab, notice=None, seconds=AT_REST, problem=mask(str(error)))

    def _notice(self) -> tuple[str, bool] | None:
        kept = self.get_secure_cookie(_NOTICE)
        if kept is None:
            return None
        self.clear_cookie(_NOTICE, path=self.address())
        done, _, text = kept.decode("utf-8", "replace").partition(" ")
        return text, done == "done"


class Action(Ours):
    """A change that a person asks for with a button. It is a POST with a token, and it goes into the history."""

    #: Changes something. Returns what happened, for the person, and the address of the page to show next. It runs in a
    #: thread, and gets the parts of the address, decoded. It raises BatchordError.
    act: Callable[..., tuple[str, str]]

    def check_xsrf_cookie(self) -> None:
        """Flower checks where the request comes from; with a password alone, it asks for no token. We do."""
        super().check_xsrf_cookie()
        RequestHandler.check_xsrf_cookie(self)

    @authenticated  # type: ignore[untyped-decorator]
    async def post(self, *names: str) -> None:
        """Changes it, and shows a page that says what happened."""
        if not self.may_act:
            raise HTTPError(HTTPStatus.FORBIDDEN, "You may look, but not change anything here.")
        try:
            text, target = await self.in_thread(self.act, *names)
            done = "done"
        except BatchordError as error:
            text, target, done = mask(str(error)), self._origin(), "failed"
        # A cookie for the path of all pages: the next page shows it once.
        self.set_secure_cookie(_NOTICE, f"{done} {text[:_MOST_NOTICE]}", expires_days=None, path=self.address())
        self.redirect(target, status=HTTPStatus.SEE_OTHER)

    def _origin(self) -> str:
        """The page with the button; only an address here, since the request names it."""
        back = self.get_body_argument("back", "")
        return back if back.startswith(f"{self.prefix}/") and not back.startswith("//") else self.address()
