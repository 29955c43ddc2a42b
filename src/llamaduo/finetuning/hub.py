"""Download a model from the Hugging Face Hub: safetensors, JSON and tokenizer files only."""

from __future__ import annotations

from pathlib import Path

from llamaduo.errors import ModelError
from llamaduo.tasks.quiet import quiet

ALLOWED = (
    "*.safetensors",
    "*.json",
    "*.jinja",
    "*.model",
    "merges.txt",
    "vocab.txt",
    "README.md",  # says under which licence it is
)


def download(name: str, revision: str | None) -> Path:
    """The folder of ``name`` (OWNER/NAME) in the Hub's cache, downloaded where it is not there.

    Raises:
        ModelError: no such model or revision, a name that no model can have, no permission,
            or no network; the hint says what to do.
    """
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
            return Path(snapshot_download(name, revision=revision, allow_patterns=list(ALLOWED)))
    except HFValidationError as error:
        raise ModelError(
            f"{name} cannot be the name of a model on the Hub: {str(error).rstrip('.')}.",
            hint="Copy OWNER/NAME from the model's page.",
        ) from error
    except GatedRepoError as error:  # a kind of RepositoryNotFoundError: it comes first
        raise ModelError(
            f"{name} is gated: the Hub wants you to accept its licence first.",
            hint=f"Accept it at https://huggingface.co/{name}, then run: hf auth login",
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"The Hub has no model {name}, or it is private.",
            hint="Check the spelling; for a private model run: hf auth login",
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(
            f"{name} has no revision {revision}.",
            hint=f"Choose one of https://huggingface.co/{name}/commits for local.revision.",
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError) as error:
        raise ModelError(
            f"{name} is not in this machine's Hub cache, and the Hub cannot be reached.",
            hint=f"On a machine with network run: hf download {name}"
            " --local-dir FOLDER; copy FOLDER here and give it as local.model.",
        ) from error


def is_cached(name: str, revision: str | None) -> bool:
    """Whether :func:`download` would find ``name`` on this machine. Asks nobody."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        snapshot_download(
            name, revision=revision, allow_patterns=list(ALLOWED), local_files_only=True
        )
    except (LocalEntryNotFoundError, HFValidationError):
        return False
    return True


def revision_of(folder: Path) -> str | None:
    """The commit that the Hub's cache keeps in ``folder``; None for a folder from elsewhere."""
    return folder.name if folder.parent.name == "snapshots" else None
