"""Which exceptions that are not an ``Exception`` end a process on purpose, when an author's code raises them."""

#: Exit codes of a process of Celery's pool that a signal ends: -(256 - signal), in billiard.common.
_BY_SIGNAL = range(-255, -191)


def ends_the_process(error: BaseException) -> bool:
    """Whether a person or a signal wants this process to end.

    Any other exception is an error of the author's code: ``sys.exit()`` in a function, a panic of a library written in
    Rust, a cancelled task of asyncio.
    """
    if isinstance(error, SystemExit):
        return error.code in _BY_SIGNAL
    return isinstance(error, KeyboardInterrupt)
