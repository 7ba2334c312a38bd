"""How Flower is closed: its application is replaced by one with a door, whose answers hold no secret."""

import importlib
from collections.abc import Sequence
from functools import partial
from typing import Any

from flower.app import Flower
from flower.views.monitor import Metrics
from tornado.web import OutputTransform, RequestHandler, authenticated

from batchord.core.errors import ConfigurationError
from batchord.core.secrets.patterns import without
from batchord.core.text.counts import counted
from batchord.output.masking import learn
from batchord.settings import settings

from .asking import ContextExecutor, note_asker
from .door import Door, Refusal
from .password import USER, flower_password

_LOOPBACK = "127.0.0.1"


def close_flower(options: Any) -> tuple[str, list[str]]:
    """Closes the Flower that is about to start; returns its address and its ``name:password`` entries.

    ``options`` are Flower's, as far as the environment and the command line gave them: what they say holds.
    Raises ConfigurationError when no password can be had.
    """
    credentials = _credentials(options)
    prefix = "/" + options.url_prefix.strip("/") if options.url_prefix else ""
    door = Door(
        credentials=credentials,
        hosts=settings().flower_hosts.replace(",", " ").split(),
        open_paths=(f"{prefix}/healthcheck",),
    )
    known = learn([*credentials, *(each.partition(":")[2] for each in credentials)])
    # Flower has no seam for this; its command looks the name up when it starts.
    command: Any = importlib.import_module("flower.command")
    command.Flower = partial(ClosedFlower, door=door, known=known, prefix=prefix)
    return options.address or ("" if options.unix_socket else _LOOPBACK), credentials


def _credentials(options: Any) -> list[str]:
    """What opens Flower: as given, or this home's password; none where OAuth is asked for."""
    given = [each for each in options.basic_auth or () if each]
    if wrong := [each for each in given if not all(each.partition(":"))]:
        raise ConfigurationError(
            f"Flower's basic_auth has {counted(len(wrong), 'entry', plural='entries')} without the form "
            "name:password. Correct FLOWER_BASIC_AUTH, or remove it: Batchord then makes a password."
        )
    if given or options.auth:
        return given
    return [f"{USER}:{flower_password(settings().home)}"]


class ClosedFlower(Flower):  # type: ignore[misc]
    """Flower behind a :class:`Door`."""

    pool_executor_cls = ContextExecutor

    def __init__(self, *, door: Door, known: Sequence[str], prefix: str, **options: Any) -> None:
        self._door = door
        self._metrics = f"{prefix}/metrics"
        static = f"{prefix}/static/"
        super().__init__(transforms=[partial(_WithoutSecrets, known=known, static=static)], **options)

    def find_handler(self, request: Any, **more: Any) -> Any:
        """Every request comes through here, whatever answers it."""
        authorization = request.headers.get("Authorization")
        refusal = self._door.refusal(path=request.path, host=request.host, authorization=authorization)
        if refusal is not None:
            return self.get_handler_delegate(request, _Refused, {"refusal": refusal})
        note_asker(request, self._door.user(authorization), self.settings.get("cookie_secret"))
        if request.path == self._metrics:
            return self.get_handler_delegate(request, _ClosedMetrics)
        return super().find_handler(request, **more)


class _ClosedMetrics(Metrics):  # type: ignore[misc]
    """Flower's own are open where people come in by OAuth."""

    get = authenticated(Metrics.get)


class _Refused(RequestHandler):  # type: ignore[misc]
    """Says why, and nothing of Flower."""

    def initialize(self, refusal: Refusal) -> None:
        self._refusal = refusal

    def check_xsrf_cookie(self) -> None:
        """Refused in any case."""

    def prepare(self) -> None:
        self.set_status(self._refusal.status)
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.set_header("X-Content-Type-Options", "nosniff")
        if self._refusal.status == 401:  # noqa: PLR2004 -- HTTP's own number
            self.set_header("WWW-Authenticate", 'Basic realm="flower", charset="UTF-8"')
        self.finish(self._refusal.message)


class _WithoutSecrets(OutputTransform):  # type: ignore[misc]
    """Masks the secrets that this process knows in every answer, errors included.

    Only those, not what looks like one: a page is code as well. What workers tell is masked at its source.
    """

    def __init__(self, request: Any, *, known: Sequence[str], static: str) -> None:
        super().__init__(request)
        self._known = () if request.path.startswith(static) else tuple(known)

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
        return without(self._known, text).encode("utf-8", "surrogateescape")
