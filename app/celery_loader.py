"""How Celery imports what its settings name."""

from types import ModuleType
from typing import Any

from celery.loaders.app import AppLoader


class Loader(AppLoader):  # type: ignore[misc]
    """Imports as Python does. Celery's own puts the working directory before everything else while it imports."""

    def import_from_cwd(self, module: str, imp: Any = None, package: str | None = None) -> ModuleType:
        """Despite its name, which is Celery's. Raises what the import raises."""
        found: ModuleType = (imp or self.import_module)(module, package=package)
        return found
