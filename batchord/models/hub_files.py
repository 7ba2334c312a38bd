"""Models on the Hugging Face hub or a mirror of it."""

import shutil
from pathlib import Path

from batchord.core.declared.models import StoredModel
from batchord.core.errors import ConfigurationError, ModelNotFound, TransientError

_ANSWER_SECONDS = 10.0


def download(declared: StoredModel, revision: str, folder: Path, *, hub_url: str | None) -> None:
    """Downloads the files of one commit into ``folder``, without pickles and code.

    Raises ModelNotFound for an unknown id or commit and for one that needs another login, TransientError if the hub
    does not answer, ConfigurationError if the weights cannot be used or the hub is switched off.
    """
    from huggingface_hub import HfApi, errors
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()  # they would fill a worker's log
    what = f"{declared.location!r} at commit {revision}"
    advice = "Or put its files into a folder or an s3:// prefix and give that as the location."
    try:
        api = HfApi(endpoint=hub_url)
        # This call comes first because it succeeds or fails at once. The download itself retries for several minutes.
        api.model_info(declared.location, revision=revision, timeout=_ANSWER_SECONDS)
        api.snapshot_download(
            declared.location,
            revision=revision,
            local_dir=folder,
            allow_patterns=[f"*{suffix}" for suffix in sorted(declared.suffixes)],
            etag_timeout=_ANSWER_SECONDS,
        )
    except errors.OfflineModeIsEnabled as error:
        raise ConfigurationError(
            f"{what} is not on this machine, and HF_HUB_OFFLINE is set: unset it. {advice}"
        ) from error
    except (errors.GatedRepoError, errors.RepositoryNotFoundError) as error:
        raise ModelNotFound(
            f"The hub has no {what} that this machine may read: check the id, or log in with HF_TOKEN. {advice}"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelNotFound(f"The hub has no {what}: check revision=. {advice}") from error
    except errors.HFValidationError as error:
        raise ConfigurationError(f"{declared.location!r} is not a valid hub id: {error}") from error
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, errors.HTTPError, OSError) as error:
        raise TransientError(
            f"The hub did not deliver {what}: {_first_line(error)} Batchord tries again. {advice}"
        ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the hub client's bookkeeping
    declared.check_files([path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()])


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
