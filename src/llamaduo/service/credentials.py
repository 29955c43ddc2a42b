"""What a provider recognises us by, put on each request as it leaves.

An API key goes into the SDK. The credentials of a cloud are ours: the SDKs would fetch and
renew them past our transport, and their errors would look like those of a reply. So an SDK gets
a placeholder, and :class:`~llamaduo.service.transport.RecordingTransport` asks for the real
header just before it sends. A replay needs none.

Google's access tokens come from ``oauth2.googleapis.com`` (a user's, or a service account's),
from the address that a workload identity names, or from the metadata server of the machine;
Amazon's from the machine's metadata server, ``sts.REGION.amazonaws.com`` or single sign-on.
Nothing of a question goes there, and it costs nothing. Those libraries block, so they run in a
thread.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx2

from llamaduo.errors import KeyMissing, LlamaduoError, UsageError
from llamaduo.service import address
from llamaduo.service.secrets import Secret, is_open_to_others
from llamaduo.service.settings import ServiceSettings

OPEN_TO_OTHERS = ", but other users of this machine can read it: chmod 600 it"
PLACEHOLDER = "set-by-the-transport"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_GOOGLE_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
_AWS_VARIABLES = (
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI",),
    ("AWS_PROFILE",),
)
"""Any one of these groups of environment variables names credentials."""
_VENDOR = Path("/sys/class/dmi/id/sys_vendor")


class Credentials(Protocol):
    """Recognises us to one provider."""

    async def authorize(self, request: httpx2.Request) -> None:
        """Add to ``request`` what it needs beside what the SDK put there.

        Raises:
            KeyMissing: there are no credentials, or they are refused.
            httpx2.ConnectError: they cannot be had now; nothing was sent to the provider.
        """


class InTheRequest:
    """The SDK has the API key; there is nothing to add."""

    async def authorize(self, request: httpx2.Request) -> None:
        """See :meth:`Credentials.authorize`."""


def credentials_of(settings: ServiceSettings) -> Credentials:
    """The credentials of ``settings``. Nothing is loaded before the first request; a server on
    loopback is told none of a cloud's."""
    trust = address.provider(settings).trust
    if address.takes_key(settings) or address.is_loopback(settings):
        return InTheRequest()
    return Google(settings) if trust == "google" else Amazon(settings)


def check(settings: ServiceSettings) -> None:
    """Find out, without network or SDK, whether there are credentials and the settings that go
    with them.

    Raises:
        UsageError: service.project or service.location is not set.
        KeyMissing: there are none; the hint says how to get some.
    """
    _check_place(settings)
    if address.takes_key(settings):
        address.find_key(settings)
    elif not address.is_loopback(settings):
        trust = address.provider(settings).trust
        _check_google(settings) if trust == "google" else _check_amazon(settings)


def key_of(settings: ServiceSettings) -> Secret:
    """What the SDK gets as a key: the API key, or a placeholder that never leaves.

    Raises:
        KeyMissing: a key is needed and not there.
    """
    return address.find_key(settings) if address.takes_key(settings) else Secret(PLACEHOLDER)


def in_words(settings: ServiceSettings) -> str:
    """What calls are recognised by, for a sentence about it."""
    if address.takes_key(settings):
        if settings.api_key_file is not None:
            return "the key in the file that service.api_key_file names"
        return f"the key in {address.key_variable(settings)}"
    google = address.provider(settings).trust == "google"
    return "the credentials for Google Cloud" if google else "the credentials for AWS"


def found_in(settings: ServiceSettings) -> str:
    """Where :func:`check` found them, in words for a person."""
    if address.takes_key(settings):
        if settings.api_key_file is None:
            return f"{address.key_variable(settings)} is set"
        others = is_open_to_others(settings.api_key_file)
        return "the file of the key is there" + (OPEN_TO_OTHERS if others else "")
    if address.provider(settings).trust == "google":
        return "Google's application default credentials are there"
    return "AWS credentials are there"


class Google:
    """Application default credentials: a service account's file, a user's login, the machine's.

    One token serves all calls until it expires; renewing it holds them up, not the event loop.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._lock = asyncio.Lock()
        self._loaded: Any = None

    async def authorize(self, request: httpx2.Request) -> None:
        """See :meth:`Credentials.authorize`."""
        async with self._lock:
            if self._loaded is None or not self._loaded.valid:
                await asyncio.to_thread(self._renew)
        headers: dict[str, str] = {}
        self._loaded.apply(headers)  # also who pays for the quota, where the credentials say so
        request.headers.update(headers)

    def _renew(self) -> None:
        import google.auth
        from google.auth.exceptions import GoogleAuthError, TransportError
        from google.auth.transport.requests import Request

        try:
            if self._loaded is None:
                self._loaded, _ = google.auth.default(scopes=[_SCOPE])
            self._loaded.refresh(Request())
        except GoogleAuthError as error:
            again = isinstance(error, TransportError) or bool(error.retryable)
            raise _no_token(self._settings, error, again=again) from error


class Amazon:
    """The credentials that AWS's own tools would use; signs each request with them."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._session: Any = None
        self._lock = asyncio.Lock()

    async def authorize(self, request: httpx2.Request) -> None:
        """See :meth:`Credentials.authorize`."""
        body = await request.aread()
        async with self._lock:
            signed = await asyncio.to_thread(self._sign, request, body)
        request.headers.update(signed)

    def _sign(self, request: httpx2.Request, body: bytes) -> dict[str, str]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.session import Session

        self._session = self._session or Session()
        # What a proxy may change on the way is not signed.
        headers = {
            name: request.headers[name] for name in ("content-type", "accept", "host")
            if name in request.headers
        }  # fmt: skip
        outgoing = AWSRequest(request.method, str(request.url), headers=headers, data=body)
        try:
            found = self._session.get_credentials()
            if found is None:
                raise _none_for(self._settings)
            SigV4Auth(found, "bedrock", self._settings.location).add_auth(outgoing)
        except (BotoCoreError, ClientError) as error:
            raise _no_token(self._settings, error, again=_is_of_the_network(error)) from error
        return {str(name): str(value) for name, value in outgoing.headers.items()}


# --- what is missing ----------------------------------------------------------------------


def _check_place(settings: ServiceSettings) -> None:
    needed = address.provider(settings).needs
    if address.provider_name(settings) == "google-cloud" and settings.project is not None:
        needed = ("project", "location")
    missing = [f"service.{name}" for name in needed if getattr(settings, name) is None]
    if missing:
        raise UsageError(
            f"{settings.model} needs {' and '.join(missing)} in llamaduo.yaml.",
            hint="project is the cloud project's id, location a region such as"
            " europe-west4 (Google) or eu-central-1 (Amazon).",
        )


def _check_google(settings: ServiceSettings) -> None:
    named = os.environ.get(_GOOGLE_FILE)
    if named and not Path(named).is_file():
        raise KeyMissing(
            f"The credentials for {settings.model} are missing: {_GOOGLE_FILE} names"
            f" {named}, which is no file.",
            hint=f"Let {_GOOGLE_FILE} name the JSON file of a service account.",
        )
    if not (named or _google_login().is_file() or _vendor().startswith("Google")):
        raise _none_for(settings)


def _check_amazon(settings: ServiceSettings) -> None:
    named = any(all(map(os.environ.get, group)) for group in _AWS_VARIABLES)
    if not (named or any(map(Path.is_file, _aws_files())) or _vendor().startswith("Amazon")):
        raise _none_for(settings)


def _none_for(settings: ServiceSettings) -> KeyMissing:
    if address.provider(settings).trust == "google":
        express = " or leave out service.project and set GOOGLE_API_KEY (express mode)"
        return KeyMissing(
            f"The credentials for {settings.model} are missing: no application default"
            " credentials of Google Cloud were found.",
            hint=f"Run `gcloud auth application-default login`, or let {_GOOGLE_FILE} name the"
            " JSON file of a service account"
            + (f",{express}." if address.provider_name(settings) == "google-cloud" else "."),
        )
    return KeyMissing(
        f"The credentials for {settings.model} are missing: no AWS credentials were found.",
        hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE after `aws"
        " configure`, or AWS_BEARER_TOKEN_BEDROCK to an Amazon Bedrock API key.",
    )


def _no_token(
    settings: ServiceSettings, error: Exception, *, again: bool
) -> LlamaduoError | httpx2.ConnectError:
    said = " ".join(str(error).split())[:300]
    if again:
        return httpx2.ConnectError(f"no credentials for {address.host(settings)}: {said}")
    return KeyMissing(
        f"The credentials for {settings.model} are not accepted: {said}",
        hint=_none_for(settings).hint,
    )


def _is_of_the_network(error: Exception) -> bool:
    from botocore.exceptions import HTTPClientError

    return isinstance(error, HTTPClientError)


def _google_login(environment: Mapping[str, str] = os.environ) -> Path:
    folder = environment.get("CLOUDSDK_CONFIG")
    chosen = Path(folder) if folder else Path.home() / ".config" / "gcloud"
    return chosen / "application_default_credentials.json"


def _aws_files(environment: Mapping[str, str] = os.environ) -> tuple[Path, Path]:
    home = Path.home() / ".aws"
    return (
        Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials"),
        Path(environment.get("AWS_CONFIG_FILE") or home / "config"),
    )


def _vendor() -> str:
    """Who made this machine, as it says itself: clouds give theirs credentials."""
    try:
        return _VENDOR.read_text().strip()
    except OSError:
        return ""
