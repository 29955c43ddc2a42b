"""Download a model from the Hugging Face Hub: safetensors, JSON and tokenizer files only."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from llamaduo.errors import ModelError
from llamaduo.tasks.quiet import quiet

_WANTED: Final[dict[str, Any]] = {
    "allow_patterns": [
        "*.safetensors",
        "*.json",
        "*.jinja",
        "*.model",
        "merges.txt",
        "vocab.txt",
        "README.md",  # says under which licence it is
    ],
    # What transformers reads lies at the top. Below are other formats of the model, and Mistral's
    # own weights are there twice.
    "ignore_patterns": ["*/*", "consolidated*.safetensors"],
}
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


def download(name: str, revision: str | None) -> Path:
    """The folder of ``name`` (OWNER/NAME) in the Hub's cache, downloaded where it is not there.

    Raises:
        ModelError: no such model or revision, a name that no model can have, no permission, no
            network, or no room; the hint says what to do.
    """
    from httpx2 import TransportError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from transformers.utils import logging

    try:
        with quiet(logging):
            folder = Path(snapshot_download(name, revision=revision, **_WANTED))
    except HFValidationError as error:
        raise ModelError(
            f"{name} cannot be the name of a model on the Hub: {str(error).rstrip('.')}.",
            hint="Copy OWNER/NAME from the model's page.",
        ) from error
    except GatedRepoError as error:  # a kind of RepositoryNotFoundError: it comes first
        raise ModelError(
            f"{name} is gated: the Hub gives it to accounts that have accepted its licence.",
            hint=_to_enter(name),
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"The Hub has no model {name}, or it is private.",
            hint="Check the spelling; for a private model run: hf auth login, or set HF_TOKEN.",
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(
            f"{name} has no revision {revision}.",
            hint=f"Choose one of https://huggingface.co/{name}/commits for local.revision.",
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError) as error:
        raise _not_given(name, error) from error
    except TransportError as error:
        raise ModelError(
            f"{name} is not all here: the connection to the Hub broke ({error}).",
            hint="Run the same command again: what is here is not downloaded again.",
        ) from error
    except OSError as error:
        raise ModelError(
            f"{name} could not be written to the Hub's cache: {error.strerror or error}.",
            hint="Free some space, or set HF_HOME to a folder on a larger disk.",
        ) from error
    _require_safetensors(name, folder)
    return folder


def _to_enter(name: str) -> str:
    """What to do about a gated model."""
    from huggingface_hub import get_token

    accept = f"Accept it at https://huggingface.co/{name}"
    if get_token() is None:
        return f"{accept} with your account, then run: hf auth login, or set HF_TOKEN."
    return (
        f"{accept} with the account of the token that is used here (hf auth whoami names it); some"
        " models then wait for their owner's consent."
    )


def _not_given(name: str, error: Exception) -> ModelError:
    """The Hub was not asked, could not be, or answered with an error."""
    from huggingface_hub.constants import HF_HUB_OFFLINE

    # Where the cache was looked into afterwards, what the Hub had said is the cause.
    responses = [getattr(each, "response", None) for each in (error, error.__cause__)]
    status = next((one.status_code for one in responses if one is not None), None)
    if status == HTTPStatus.UNAUTHORIZED:
        return ModelError(
            f"The Hub refuses the token that {name} was asked for with.",
            hint="Set HF_TOKEN to one that is valid, or unset it and run: hf auth login.",
        )
    why = "the Hub cannot be reached"
    if HF_HUB_OFFLINE:
        why = "HF_HUB_OFFLINE is set, so the Hub is not asked"
    elif status is not None:
        why = f"the Hub answers with an error ({status}), which may pass"
    return ModelError(
        f"{name} is not in this machine's Hub cache, and {why}.",
        hint=f"On a machine with network run: hf download {name}"
        " --local-dir FOLDER; copy FOLDER here and give it as local.model.",
    )


def _require_safetensors(name: str, folder: Path) -> None:
    """What was downloaded has weights. Pickles never are: they can run code when loaded."""
    if any(folder.glob("*.safetensors")):
        return
    pickles = _pickles(name, revision_of(folder))
    which = f" Its weights are pickles, as in {pickles[0]}." if pickles else ""
    raise ModelError(
        f"{name} has no weights as safetensors at {revision_of(folder)}.{which}",
        hint=f"See https://huggingface.co/{name}/discussions: the Hub's bot offers many models"
        " as safetensors, in a pull request that local.revision takes as refs/pr/NUMBER.",
    )


def _pickles(name: str, commit: str | None) -> list[str]:
    """The pickles in a repository, as far as the Hub says now."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        files = HfApi().list_repo_files(name, revision=commit)
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return []
    return sorted(file for file in files if file.endswith(_PICKLES))


def is_cached(name: str, revision: str | None) -> bool:
    """Whether :func:`download` would find ``name`` on this machine. Asks nobody."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        snapshot_download(name, revision=revision, local_files_only=True, **_WANTED)
    except (LocalEntryNotFoundError, HFValidationError):
        return False
    return True


def revision_of(folder: Path) -> str | None:
    """The commit that the Hub's cache keeps in ``folder``; None for a folder from elsewhere."""
    return folder.name if folder.parent.name == "snapshots" else None
