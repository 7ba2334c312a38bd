"""Closes Flower: replaces its application by one that checks each request and masks secrets in each answer."""

import importlib
from collections.abc import Collection, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from flower.app import Flower
from flower.views.monitor import Metrics
from prometheus_client import REGISTRY
from tornado.ioloop import IOLoop
from tornado.web import GZipContentEncoding, OutputTransform, RequestHandler, authenticated

from batchord.core.errors import ConfigurationError
from batchord.core.run.history import Actor
from batchord.core.secrets.patterns import without
from batchord.core.text.counts import counted
from batchord.output.masking import learn
from batchord.queue.replies import ASKER
from batchord.settings import settings

from ..exposition import BatchordCollector
from .asking import ContextExecutor, note_asker
from .door import Door, Refusal
from .pages.loader import PageLoader
from .pages.routes import add_pages
from .pages.words import prefix_of
from .password import USER, flower_password

_LOOPBACK = "127.0.0.1"
#: The methods of requests that change nothing.
_LOOKING = ("GET", "HEAD", "OPTIONS")
_NOT_FOR_VIEWERS = Refusal(
    status=HTTPStatus.FORBIDDEN, message="You may look at everything here, but not change anything."
)
_COLLECTOR = BatchordCollector()


def close_flower(options: Any) -> tuple[str, list[str]]:
    """Closes the Flower that is about to start. Returns its address and its ``name:password`` entries.

    ``options`` are Flower's options from the environment and the command line, which are respected. Raises
    ConfigurationError if there is no password and none can be made.
    """
    credentials = _credentials(options)
    prefix = prefix_of(options)
    door = Door(
        credentials=credentials,
        hosts=settings().flower_hosts.replace(",", " ").split(),
        open_paths=(f"{prefix}/healthcheck",),
    )
    REGISTRY.register(_COLLECTOR)  # Flower shows what is in this registry
    secrets = learn([*credentials, *(login.partition(":")[2] for login in credentials)])
    # Flower offers no way to replace its application. Its command looks this name up when it starts.
    command: Any = importlib.import_module("flower.command")
    viewers = settings().flower_viewers.replace(",", " ").split()
    command.Flower = partial(ClosedFlower, door=door, viewers=viewers, secrets=secrets, prefix=prefix)
    add_pages()
    return options.address or ("" if options.unix_socket else _LOOPBACK), credentials


def _credentials(options: Any) -> list[str]:
    """The ``name:password`` entries that open Flower: those of the options, or this home's; none with OAuth."""
    logins = [login for login in options.basic_auth or () if login]
    if wrong := [login for login in logins if not all(login.partition(":"))]:
        raise ConfigurationError(
            f"Flower's basic_auth has {counted(len(wrong), 'entry', plural='entries')} without the form "
            "name:password. Correct FLOWER_BASIC_AUTH, or remove it: Batchord then makes a password."
        )
    if logins or options.auth:
        return logins
    return [f"{USER}:{flower_password(settings().home)}"]


class ClosedFlower(Flower):  # type: ignore[misc]
    """Flower behind a :class:`Door`."""

    pool_executor_cls = ContextExecutor

    def __init__(
        self, *, door: Door, viewers: Collection[str], secrets: Sequence[str], prefix: str, **options: Any
    ) -> None:
        self._door = door
        self._viewers = frozenset(viewers)
        self._metrics = f"{prefix}/metrics"
        static = f"{prefix}/static/"
        files = (static, f"{prefix}/batchord-static/")
        super().__init__(
            transforms=[partial(_WithoutSecrets, secrets=secrets, static=static), partial(_Compressed, files=files)],
            template_loader=PageLoader(options["template_path"]),
            **options,
        )
        # Celery's current app is one of each thread. Pages send messages in threads of their own.
        self.capp.set_default()

    def only_looks(self, actor: Actor | None) -> bool:
        """Whether the person is a viewer: somebody who may change nothing."""
        return actor is not None and actor.user in self._viewers

    def find_handler(self, request: Any, **more: Any) -> Any:
        """The handler of a request. Every request passes this method."""
        authorization = request.headers.get("Authorization")
        refusal = self._door.refusal(path=request.path, host=request.host, authorization=authorization)
        if refusal is not None:
            return self.get_handler_delegate(request, _Refused, {"refusal": refusal})
        note_asker(request, self._door.user(authorization), self.settings.get("cookie_secret"))
        if request.method not in _LOOKING and self.only_looks(ASKER.get()):
            return self.get_handler_delegate(request, _Refused, {"refusal": _NOT_FOR_VIEWERS})
        if request.path == self._metrics:
            return self.get_handler_delegate(request, _ClosedMetrics)
        return super().find_handler(request, **more)


class _ClosedMetrics(Metrics):  # type: ignore[misc]
    """Flower's metrics and Batchord's, behind a login. With OAuth, Flower's own would be open to everybody."""

    @authenticated  # type: ignore[untyped-decorator]
    async def get(self) -> None:
        # Asks the servers in another thread: Flower does everything else in this one.
        await IOLoop.current().run_in_executor(None, _COLLECTOR.reading)
        await super().get()


class _Refused(RequestHandler):  # type: ignore[misc]
    """Answers with the reason for the refusal, and with nothing of Flower."""

    def initialize(self, refusal: Refusal) -> None:
        self._refusal = refusal

    def check_xsrf_cookie(self) -> None:
        """Skips the check: the request is refused in any case."""

    def prepare(self) -> None:
        self.set_status(self._refusal.status)
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.set_header("X-Content-Type-Options", "nosniff")
        if self._refusal.status == 401:  # noqa: PLR2004 -- HTTP's own number
            self.set_header("WWW-Authenticate", 'Basic realm="flower", charset="UTF-8"')
        self.finish(self._refusal.message)


class _WithoutSecrets(OutputTransform):  # type: ignore[misc]
    """Masks the secrets that this process knows in every answer, also in errors.

    It does not mask text that only looks like a secret: a page is code as well. Workers mask their texts themselves.
    """

    def __init__(self, request: Any, *, secrets: Sequence[str], static: str) -> None:
        super().__init__(request)
        self._secrets = () if request.path.startswith(static) else tuple(secrets)

    def transform_first_chunk(
        self,
        status_code: int,
        headers: Any,
        chunk: bytes,
        finishing: bool,  # noqa: FBT001 -- Tornado's signature
    ) -> tuple[int, Any, bytes]:
        masked = self.transform_chunk(chunk, finishing)
        if len(masked) != len(chunk) and "Content-Length" in headers:
            headers["Content-Length"] = str(len(masked))
        return status_code, headers, masked

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:  # noqa: ARG002, FBT001 -- Tornado's signature
        text = chunk.decode("utf-8", "surrogateescape")
        return without(self._secrets, text).encode("utf-8", "surrogateescape")


class _Compressed(GZipContentEncoding):  # type: ignore[misc]
    """Compresses scripts and styles: they are four fifths of what a first visit fetches.

    It leaves pages as they are. A page holds a token and repeats the address's filter. If it were compressed, its
    length would tell somebody who chooses the filter how much of the token is right (BREACH).
    """

    def __init__(self, request: Any, *, files: tuple[str, ...]) -> None:
        super().__init__(request)
        if "Range" in request.headers or not request.path.startswith(files):
            self._gzipping = False
