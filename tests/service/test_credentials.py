"""Credentials of clouds: what is missing is said without network, what is there is sent."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from llamaduo.errors import KeyMissing, UsageError
from llamaduo.service import credentials
from llamaduo.service.client import check_usable
from llamaduo.service.credentials import PLACEHOLDER, Amazon, Google, InTheRequest
from llamaduo.service.ledger import Ledger
from llamaduo.service.secrets import Secret
from llamaduo.service.settings import ServiceSettings
from llamaduo.service.transport import CALL, Call, RecordingTransport
from llamaduo.service.wires import Wires
from tests.canary import CANARY
from tests.service.loopback import serving

ON_GOOGLE = {"project": "p1", "location": "europe-west4"}
VERTEX = ServiceSettings(model="anthropic-vertex:claude-haiku-4-5", **ON_GOOGLE)
GEMINI = ServiceSettings(model="google-cloud:gemini-3.5-flash", **ON_GOOGLE)
BEDROCK = ServiceSettings(
    model="anthropic-bedrock:anthropic.claude-haiku-4-5-20251001-v1:0", location="eu-central-1"
)


@pytest.fixture(autouse=True)
def _bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's, or of the clouds it may run in."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(credentials, "_VENDOR", tmp_path / "nothing")


def post(body: bytes = b"{}") -> httpx2.Request:
    return httpx2.Request(
        "POST",
        "https://api.example/model/m%3A0/invoke",
        content=body,
        headers={"authorization": f"Bearer {PLACEHOLDER}", "content-type": "application/json"},
    )


# --- before anything is sent --------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "missing"),
    [
        ("anthropic-vertex:m", "service.project and service.location"),
        ("anthropic-bedrock:m", "service.location"),
    ],
)
def test_a_place_that_is_not_set_is_named(model: str, missing: str) -> None:
    with pytest.raises(UsageError, match=missing) as caught:
        check_usable(ServiceSettings(model=model), None)
    assert "europe-west4" in caught.value.hint


@pytest.mark.parametrize(
    ("settings", "step"),
    [(VERTEX, "gcloud auth"), (GEMINI, "GOOGLE_API_KEY"), (BEDROCK, "AWS_BEARER_TOKEN_BEDROCK")],
)
def test_credentials_that_are_not_there_are_said_with_the_next_step(
    settings: ServiceSettings, step: str
) -> None:
    with pytest.raises(KeyMissing, match=settings.model) as caught:
        check_usable(settings, None)
    assert step in caught.value.hint


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(KeyMissing, match=r"/nowhere/key\.json"):
        check_usable(VERTEX, None)


@pytest.mark.parametrize(
    ("settings", "variables"),
    [
        (BEDROCK, {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": CANARY}),
        (BEDROCK, {"AWS_PROFILE": "team"}),
        (BEDROCK, {"AWS_BEARER_TOKEN_BEDROCK": CANARY}),
    ],
)
def test_variables_that_name_credentials_are_enough(
    monkeypatch: pytest.MonkeyPatch, settings: ServiceSettings, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    check_usable(settings, None)


def test_a_login_of_gcloud_or_aws_or_their_own_machines_are_enough(tmp_path: Path) -> None:
    for name in (".config/gcloud/application_default_credentials.json", ".aws/credentials"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("{}")
    check_usable(VERTEX, None)
    check_usable(BEDROCK, None)


def test_a_machine_in_the_cloud_has_credentials(tmp_path: Path) -> None:
    (tmp_path / "nothing").write_text("Amazon EC2\n")
    check_usable(BEDROCK, None)
    (tmp_path / "nothing").write_text("Google\n")
    check_usable(VERTEX, None)


def test_gemini_on_the_cloud_takes_a_key_where_no_project_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    express = ServiceSettings(model=GEMINI.model)
    with pytest.raises(KeyMissing, match="GOOGLE_API_KEY"):
        check_usable(express, None)
    monkeypatch.setenv("GOOGLE_API_KEY", CANARY)
    check_usable(express, None)
    assert credentials.key_of(express).reveal() == CANARY
    assert isinstance(credentials.credentials_of(express), InTheRequest)


def test_a_server_on_loopback_is_told_no_credentials_of_a_cloud() -> None:
    local = VERTEX.model_copy(update={"base_url": "http://127.0.0.1:9/v1"})
    check_usable(local, None)
    assert isinstance(credentials.credentials_of(local), InTheRequest)


# --- on the way out -----------------------------------------------------------------------


async def test_amazon_signs_what_is_sent_and_keeps_the_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    signed, other = post(), post(b'{"a": 1}')
    amazon = Amazon(BEDROCK)
    await amazon.authorize(signed)
    await amazon.authorize(other)

    value = signed.headers["authorization"]
    assert value.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-central-1/bedrock/aws4_request" in value
    assert value.rpartition("=")[2] != other.headers["authorization"].rpartition("=")[2]
    assert signed.headers["x-amz-security-token"] == "session"
    assert CANARY not in str(signed.headers.multi_items())
    assert PLACEHOLDER not in str(signed.headers.multi_items())


async def test_amazon_without_credentials_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(KeyMissing, match="no AWS credentials"):
        await Amazon(BEDROCK).authorize(post())


class _Tokens(BaseHTTPRequestHandler):
    """Google's token endpoint: one token, or a refusal, or nothing that helps."""

    status, body = 200, {"access_token": "ya29.token", "expires_in": 3600, "token_type": "Bearer"}
    asked = 0

    def do_POST(self) -> None:
        type(self).asked += 1
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.status)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(self.body).encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # type: ignore[no-untyped-def]
    """A token endpoint on loopback, and a service account's file that points to it."""
    handler = type("Handler", (_Tokens,), {})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    login = tmp_path / "login.json"
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    login.write_text(json.dumps({
        "type": "service_account", "project_id": "p1", "client_email": "app@p1.example",
        "private_key": private.decode(), "private_key_id": "1",
        "token_uri": f"http://127.0.0.1:{server.server_port}/token",
    }))  # fmt: skip
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(login))
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "who-pays")
    yield handler
    server.shutdown()
    server.server_close()


async def test_google_gets_one_token_for_all_calls(tokens: type[_Tokens]) -> None:
    google, first, second = Google(VERTEX), post(), post()
    await google.authorize(first)
    await google.authorize(second)
    assert first.headers["authorization"] == "Bearer ya29.token"
    assert first.headers["x-goog-user-project"] == "who-pays"
    assert second.headers["authorization"] == "Bearer ya29.token"
    assert tokens.asked == 1


async def test_a_login_that_was_revoked_is_said_with_the_next_step(tokens: type[_Tokens]) -> None:
    tokens.status, tokens.body = 400, {"error": "invalid_grant"}
    with pytest.raises(KeyMissing, match="invalid_grant") as caught:
        await Google(VERTEX).authorize(post())
    assert "gcloud auth" in caught.value.hint


async def test_tokens_that_cannot_be_had_now_are_a_fault_of_the_network(
    tokens: type[_Tokens], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    login = tmp_path / "login.json"
    found = json.loads(login.read_text()) | {"token_uri": "http://127.0.0.1:1/token"}
    login.write_text(json.dumps(found))
    with pytest.raises(httpx2.ConnectError, match="no credentials for europe-west4-aiplatform"):
        await Google(VERTEX).authorize(post())


class _Refused:
    async def authorize(self, request: httpx2.Request) -> None:
        raise KeyMissing(f"The login for {request.url.host} was revoked.")


async def test_a_call_without_credentials_never_leaves_and_is_not_in_doubt(
    tmp_path: Path,
) -> None:
    wires = Wires(lambda limits: httpx2.AsyncClient(limits=limits), 1)
    async with serving() as service:
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            transport = RecordingTransport(
                ledger, wires, seconds=5, secret=Secret(CANARY), credentials=_Refused()
            )
            async with (
                httpx2.AsyncClient(transport=transport) as http,
                ledger.attempt(
                    "k", stage="s", model="m", request="{}", most_usd=1.0, budget_usd=None
                ) as attempt,
            ):
                token = CALL.set(Call(attempt))
                with pytest.raises(KeyMissing, match="revoked"):
                    await http.post(service.base_url, json={})
                CALL.reset(token)
            (row,) = ledger.spend()
    assert service.bodies == []
    assert (row.failed, row.in_doubt, row.charged) == (1, 0, 0)
