"""The bundle: a checkpoint that can be taken away and served, with the evidence beside it.

A bundle is built in a folder beside its place, sealed by ``bundle.json``, which has the hash of
every other file, and then moved into place: it is whole or not there. Whoever opens one has
its files checked against those hashes before anything is loaded.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from llamaduo.errors import BundleError, RunError
from llamaduo.records import Form, JudgeFinding, Message, Parity, Scores, Terms, Verdict
from llamaduo.storage.atomic import sha256_of, sync_file, sync_folder
from llamaduo.storage.jsonl import read_record, write_record

MANIFEST = "bundle.json"
CARD = "README.md"
FORMAT = 3
"""Changes when a bundle packed before can no longer be opened."""
TOKENIZER_FILES = (
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
"""What turns a prompt into tokens and an answer into text, as far as a base model has it."""
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")
"""Endings of files that run code when they are loaded."""
_BUILDING, _REPLACED = ".bundle-", ".bundle-replaced-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """How the model answered when it was judged: what a server does when a request does not say."""

    temperature: float
    top_p: float
    max_new_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """``bundle.json``: what is in the bundle, what it was judged to be, and where it came from.

    ``name`` is what a server calls the model. ``label`` is "target met", "target missed" or
    "undecided", and ``target`` in words what was asked for.
    ``model`` is the base model by the name it was configured with, ``revision`` its commit on
    the Hub, and ``fingerprint`` tells its files from others of that name; an ``adapter`` needs
    it, and a merged model names it without the folders it lay in. ``scores`` are those of the
    test split, ``final`` those of the final one; ``ceiling`` and ``ceiling_final`` are those of
    the service LLM's own answers to both, and ``findings`` what was found against the judges.
    ``templates`` has the prompts of judge and
    synthesis with placeholders in them, ``data`` the sha256 of what it was made from, ``files``
    the sha256 of every other file of the bundle.
    """

    format: int = FORMAT
    name: str
    form: Form
    dtype: str
    label: str
    target: tuple[str, ...] = ()
    model: str
    revision: str | None = None
    fingerprint: str
    licence: str | None = None
    cycle: int | None
    window: int
    generation: Generation
    verdict: Verdict
    scores: Scores
    final: Scores | None = None
    ceiling: Scores | None = None
    ceiling_final: Scores | None = None
    findings: tuple[JudgeFinding, ...] = ()
    parity: Parity | None = None
    terms: Terms | None = None
    rehearsed: bool
    service: str
    judges: tuple[str, ...]
    versions: dict[str, str] = field(default_factory=dict)
    seeds: dict[str, int] = field(default_factory=dict)
    templates: dict[str, tuple[Message, ...]] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def same_model(self, other: Bundle) -> bool:
        """Whether both are of the same checkpoint, judged the same, in whatever form."""
        return self._agrees(other, "name", "fingerprint", "cycle", "scores", "final")

    def same_evidence(self, other: Bundle) -> bool:
        """Whether, besides, both say the same about what that was worth."""
        names = ("verdict", "label", "target", "ceiling", "ceiling_final", "findings")
        return self.same_model(other) and self._agrees(other, *names)

    def _agrees(self, other: Bundle, *names: str) -> bool:
        return all(getattr(self, name) == getattr(other, name) for name in names)


# --- packing ------------------------------------------------------------------------------


@contextmanager
def building(into: Path) -> Iterator[Path]:
    """An empty folder beside ``into`` to build a bundle in. What is left in it at the end goes.

    The run is locked meanwhile, so what else stands there was being built when it was killed.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    _restore(into)
    for leftover in into.parent.glob(f"{_BUILDING}*"):
        shutil.rmtree(leftover)
    folder = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=into.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _restore(into: Path) -> None:
    """Put the old bundle back, if a process was killed after it had moved it out of the way and
    before the new one was in its place."""
    if into.exists():
        return
    for replaced in into.parent.glob(f"{_REPLACED}*"):
        if (replaced / into.name / MANIFEST).is_file():
            (replaced / into.name).replace(into)
            return


def add_files(sources: Mapping[str, Path], folder: Path) -> None:
    """Copy ``sources`` into ``folder`` under their names."""
    for name, source in sources.items():
        shutil.copyfile(source, folder / name)


def tokenizer_files(base: Path) -> dict[str, Path]:
    """The files of ``base`` that turn a prompt into tokens and an answer into text."""
    return {name: base / name for name in TOKENIZER_FILES if (base / name).is_file()}


def files_of(folder: Path) -> dict[str, Path]:
    """The files that lie in ``folder``, by name."""
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}


def seal(folder: Path, bundle: Bundle, card: str, into: Path) -> Bundle:
    """Finish the bundle in ``folder`` and move it to ``into``, in the place of an older one."""
    (folder / CARD).write_text(card, encoding="utf-8")
    digests = {}
    for name, path in files_of(folder).items():
        path.chmod(0o644)
        sync_file(path)
        digests[name] = sha256_of(path)
    sealed = replace(bundle, files=digests)
    write_record(folder / MANIFEST, sealed)  # makes all the names durable, too
    folder.chmod(0o755)
    _move(folder, into)
    return sealed


def _move(folder: Path, into: Path) -> None:
    if into.exists():
        replaced = Path(tempfile.mkdtemp(prefix=_REPLACED, dir=into.parent))
        into.replace(replaced / into.name)  # a file or a link, too
        folder.replace(into)
        sync_folder(into.parent)
        shutil.rmtree(replaced)
    else:
        folder.replace(into)
        sync_folder(into.parent)


# --- opening ------------------------------------------------------------------------------


def open_bundle(folder: Path, *, check_files: bool = True) -> Bundle:
    """Read ``bundle.json`` and check that ``folder`` is what it says.

    Args:
        check_files: hash every file, which reads all the weights once. Without it only the
            names are checked.

    Raises:
        BundleError: it is no bundle, of another version, damaged, or has a pickle in it.
    """
    _refuse_pickles(folder)
    bundle = _read(folder)
    _check_names(folder, bundle)
    if check_files:
        _check_digests(folder, bundle)
    return bundle


def held(folder: Path, wanted: Bundle) -> Bundle | None:
    """The whole bundle of the same model, in whatever form, that ``folder`` has; None if none."""
    _restore(folder)
    try:
        found = open_bundle(folder)
    except BundleError:  # missing, damaged or old: it is packed again
        return None
    return found if found.same_model(wanted) else None


@dataclass(frozen=True, slots=True)
class _Version:
    format: int


def _read(folder: Path) -> Bundle:
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(
            f"{folder} is not a bundle: it has no {MANIFEST}.",
            hint="Name a bundle's folder, as in runs/NAME/bundle; `llamaduo deploy` packs one.",
        )
    try:
        version = read_record(path, _Version).format
        if version != FORMAT:
            raise BundleError(
                f"{path} is of bundle format {version}; this llamaduo reads format {FORMAT}.",
                hint="Use the llamaduo that packed it, or pack it again with `llamaduo deploy`.",
            )
        return read_record(path, Bundle)
    except RunError as error:
        raise BundleError(error.message, hint=_AGAIN) from error


_AGAIN = "Copy the bundle again, or pack it again with `llamaduo deploy`."


def _refuse_pickles(folder: Path) -> None:
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.suffix.lower() in PICKLES:
            raise BundleError(
                f"{path} may be a pickle, which can run code when it is loaded.",
                hint="Nothing was loaded. Get the bundle from where it was packed;"
                " llamaduo writes safetensors and GGUF only.",
            )


def _check_names(folder: Path, bundle: Bundle) -> None:
    for name in bundle.files:
        if Path(name).name != name:
            raise BundleError(
                f"{folder / MANIFEST} names {name!r}: not a file's name.", hint=_AGAIN
            )
        if not (folder / name).is_file():
            raise BundleError(f"{folder / name} is missing.", hint=_AGAIN)
    known = {MANIFEST, *bundle.files}
    for name in sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")):
        if name not in known:
            raise BundleError(
                f"{folder / name} is not part of the bundle: {MANIFEST} does not know it.",
                hint="Move it away; what lies in a bundle's folder could be loaded with it.",
            )


def _check_digests(folder: Path, bundle: Bundle) -> None:
    for name, digest in bundle.files.items():
        if sha256_of(folder / name) != digest:
            raise BundleError(f"{folder / name} was changed since it was packed.", hint=_AGAIN)
