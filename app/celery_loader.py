"""How Celery finds its settings, and imports what they name."""

from types import ModuleType
from typing import Any

from celery.loaders.app import AppLoader

from .configuration import celery_settings


class Loader(AppLoader):  # type: ignore[misc]
    """Imports as Python does. Celery's own puts the working directory before everything else while it imports."""

    def import_from_cwd(self, module: str, imp: Any = None, package: str | None = None) -> ModuleType:
        """Despite its name, which is Celery's. Raises what the import raises."""
        found: ModuleType = (imp or self.import_module)(module, package=package)
        return found

    def read_configuration(self, env: str = "") -> dict[str, Any]:  # noqa: ARG002 -- Celery's signature
        """What Celery asks for when a setting is first needed."""
        return celery_settings()
