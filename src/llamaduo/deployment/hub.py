"""The Hugging Face Hub, as far as publishing needs it: look, create, upload, look again.

Every failure of the client becomes one of our errors, with the next step. The token goes into
the client's header and nowhere else; it is in no address and no message.
"""

from __future__ import annotations

import hashlib
import ipaddress
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from llamaduo.errors import ExtraMissing, KeyMissing, LlamaduoError, PublishFailed, UsageError
from llamaduo.service.masking import hide

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

RepositoryKind = Literal["model", "dataset"]
_AGAIN = "Run the same command again: what has arrived is not sent again."
_LOGIN = "Run `hf auth login`, or set HF_TOKEN to a token that may write."


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as the Hub shows it: ``files`` maps each name to its size in bytes, ``hashes``
    to the sha256 of its content, or "git:" and the hash that git gives it."""

    name: str
    kind: RepositoryKind
    private: bool
    revision: str | None = None
    files: Mapping[str, int] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)


class Hub:
    """One account at one Hub. Nothing is asked before the first call."""

    def __init__(self, *, quiet: bool = True) -> None:
        """Find the token and the address.

        Raises:
            ExtraMissing: huggingface_hub is not installed.
            KeyMissing: there is no token.
            UsageError: the address would send the token in the clear.
        """
        try:
            from huggingface_hub import HfApi, get_token
        except ImportError as error:
            raise ExtraMissing(
                "Publishing needs huggingface_hub, which is not installed.",
                hint="pip install 'llamaduo[local]'",
            ) from error

        self._token = get_token()
        self._api: HfApi = HfApi(token=self._token)
        self._quiet = quiet
        self.address = str(self._api.endpoint)
        _check_address(self.address)
        if not self._token:
            raise KeyMissing(f"There is no token for {self.address}.", hint=_LOGIN)
        hide(self._token)

    def account(self) -> str:
        """The name of the token's owner."""
        with _explained(f"{self.address} did not say whose token this is"):
            return str(self._api.whoami()["name"])

    def look(self, name: str, kind: RepositoryKind) -> Repository | None:
        """The repository with its files; None when it is not there, or not for this account."""
        from huggingface_hub.errors import RepositoryNotFoundError

        with _explained(f"{self.address} did not show {self.page(name, kind)}"):
            info = self._api.dataset_info if kind == "dataset" else self._api.model_info
            try:
                found = info(name, files_metadata=True)
            except RepositoryNotFoundError as error:
                if error.response.status_code == 404:
                    return None
                raise
        files = found.siblings or ()
        return Repository(
            name,
            kind,
            private=bool(found.private),
            revision=found.sha,
            files={file.rfilename: file.size or 0 for file in files},
            hashes={
                file.rfilename: file.lfs.sha256 if file.lfs else f"git:{file.blob_id}"
                for file in files
                if file.lfs or file.blob_id
            },
        )

    def create(self, name: str, kind: RepositoryKind, *, private: bool) -> None:
        """Create an empty repository of this visibility."""
        with _explained(f"{self.page(name, kind)} could not be created"):
            self._api.create_repo(name, repo_type=kind, private=private)

    def upload(
        self, at: Repository, files: Mapping[str, Path], stale: Sequence[str], message: str
    ) -> None:
        """Put ``files`` there and take ``stale`` away in one commit: all of it or nothing.

        It goes onto the revision that was looked at, or not at all.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        changes = [CommitOperationAdd(name, path) for name, path in files.items()]
        removals = [CommitOperationDelete(name) for name in stale]
        page = self.page(at.name, at.kind)
        with _explained(f"{page} did not take the files"), self._bars(), _without_remarks():
            self._api.create_commit(
                at.name,
                [*changes, *removals],
                commit_message=message,
                repo_type=at.kind,
                parent_commit=at.revision,
            )

    def _bars(self) -> AbstractContextManager[object]:
        """The client's own progress bars, in a terminal only."""
        if not self._quiet:
            return nullcontext()
        from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

        return disable_progress_bars()

    def page(self, name: str, kind: RepositoryKind) -> str:
        """The address of a repository's page."""
        return f"{self.address}/{'datasets/' if kind == 'dataset' else ''}{name}"


def differences(wanted: Mapping[str, Path], found: Repository) -> tuple[str, ...]:
    """What of ``wanted`` is not in ``found`` as it is here, in words."""
    problems = []
    for name, path in wanted.items():
        if name not in found.files:
            problems.append(f"{name} is missing")
        elif found.files[name] != path.stat().st_size or not _same(path, found.hashes.get(name)):
            problems.append(f"{name} differs")
    return tuple(problems)


def _same(path: Path, digest: str | None) -> bool:
    if digest is None:
        return True  # the Hub gives no hash of it: the size has to do
    size = path.stat().st_size
    made = hashlib.sha1(usedforsecurity=False) if digest.startswith("git:") else hashlib.sha256()
    if digest.startswith("git:"):
        made.update(f"blob {size}\0".encode())
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            made.update(piece)
    return made.hexdigest() == digest.removeprefix("git:")


def _check_address(address: str) -> None:
    """A token is sent over TLS, or stays on this machine."""
    parts = urlsplit(address)
    if parts.username or parts.password:
        raise UsageError(
            "HF_ENDPOINT has a user name or a password in it.",
            hint="Write it as https://HOST; the token goes into HF_TOKEN.",
        )
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise UsageError(
            f"HF_ENDPOINT is {address}: the token and the files would go there unencrypted.",
            hint="Write it as https://HOST.",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Keep the Hub's remarks on a card's metadata from becoming Python warnings, and the
    client's own use of httpx, which calls the way it hands a file over outdated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Warnings while validating metadata")
        warnings.filterwarnings("ignore", "Use 'content=<...>'", DeprecationWarning)
        yield


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn the client's failures into ours."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        yield
    except HfHubHTTPError as error:
        raise _refusal(what, error) from error
    except HFValidationError as error:
        raise UsageError(f"{what}: {error}", hint="Name it as OWNER/NAME.") from error
    except OfflineModeIsEnabled as error:
        raise PublishFailed(f"{what}: HF_HUB_OFFLINE is set.", hint="Unset it.") from error
    except (httpx2.HTTPError, ConnectionError, TimeoutError) as error:
        raise PublishFailed(
            f"{what}: {_why(error)}.", hint=f"Check the network. {_AGAIN}"
        ) from error
    except RuntimeError as error:  # how the client wraps the failure of one file
        cause = error.__cause__
        if isinstance(cause, HfHubHTTPError):
            raise _refusal(what, cause) from error
        raise PublishFailed(f"{what}: {_why(cause or error)}.", hint=_AGAIN) from error
    except ValueError as error:
        raise PublishFailed(f"{what}: {_why(error)}.", hint=_AGAIN) from error


def _why(error: BaseException) -> str:
    return " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__


_BY_STATUS: Mapping[int, tuple[str, str]] = {
    401: ("the token is not valid (401)", _LOGIN),
    403: (
        "the token may not do this (403)",
        "Use a token with write access to this owner's repositories, and check the name in --repo.",
    ),
    404: ("it is not there, or not for this account (404)", "Check --repo and the account."),
    409: (
        "it was changed or created by somebody else in the meantime (409)",
        "Look at the page, then run the same command again.",
    ),
    412: (
        "somebody else changed it in the meantime (412)",
        "Look at the page, then run the same command again.",
    ),
    413: ("something is too large for it (413)", "See the Hub's limits for this account."),
    429: ("too many requests (429)", f"Wait some minutes. {_AGAIN}"),
}


def _refusal(what: str, error: HfHubHTTPError) -> LlamaduoError:
    status = error.response.status_code
    why, hint = _BY_STATUS.get(status, (f"it answered {status}", _AGAIN))
    said = " ".join((error.server_message or "").split())[:300]
    message = f"{what}: {why}{f'; it says: {said}' if said else ''}."
    if status == 401:
        return KeyMissing(message, hint=hint)
    return PublishFailed(message, hint=hint)
