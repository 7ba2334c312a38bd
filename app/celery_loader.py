"""Celery's loader: it reads Batchord's settings for Celery and imports the modules that they name."""

from types import ModuleType
from typing import Any

from celery.loaders.app import AppLoader

from .configuration import celery_settings


class Loader(AppLoader):  # type: ignore[misc]
    """Imports modules as Python does. Celery's own loader puts the working directory first while it imports."""

    def import_from_cwd(self, module: str, imp: Any = None, package: str | None = None) -> ModuleType:
        """Imports a module, but not from the working directory, despite Celery's name for this method."""
        imported: ModuleType = (imp or self.import_module)(module, package=package)
        return imported

    def read_configuration(self, env: str = "") -> dict[str, Any]:  # noqa: ARG002 -- Celery's signature
        """The settings. Celery calls this when it first needs one."""
        return celery_settings()
