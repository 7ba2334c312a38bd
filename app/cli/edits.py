"""What a command says about a file that an edit has broken, and of which the last good version is used."""

import click

from batchord.core.errors import CatalogError

from .terminal import foreign


def known(name: str, *, refuses_broken: bool = False) -> None:
    """Raises UnknownPipeline or CatalogError if the pipeline cannot run. Call it before any work.

    If an edit has broken its file, runs go on with the file's last good version. Then this says so on standard error;
    with ``refuses_broken`` it raises CatalogError, because the person wants to see what the file says now.
    """
    from batchord.wiring import catalog

    catalog().get(name)
    loaded = catalog().loaded
    file = loaded.files.get(name)
    for problem in loaded.problems:
        if problem.file == file and problem.pipeline in (None, name):
            if refuses_broken:
                raise CatalogError(str(problem))
            click.secho(foreign(problem), fg="yellow", err=True)
