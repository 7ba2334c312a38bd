"""Exceptions by which an author's code leaves that are no Exception, and which of them end a process on purpose."""

#: What a process of Celery's pool exits with when a signal tells it to end: -(256 - signal), in billiard.common.
_BY_SIGNAL = range(-255, -191)


def ends_the_process(error: BaseException) -> bool:
    """Whether a person or a signal wants this process to end; everything else is the doing of the code that ran.

    ``sys.exit()`` in a function, a panic of a library written in Rust and a task of asyncio that was cancelled are
    not.
    """
    if isinstance(error, SystemExit):
        return error.code in _BY_SIGNAL
    return isinstance(error, KeyboardInterrupt)
