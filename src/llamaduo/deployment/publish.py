"""Publish a run: its bundle and, if wanted, its pairs, as repositories on the Hub.

What would leave is a :class:`~llamaduo.deployment.outgoing.Plan`. Each package is sent whole or
not at all, into a repository of the visibility that was asked for, and looked at again after.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from llamaduo.deployment.bundle import CARD, MANIFEST
from llamaduo.deployment.hub import Hub, Repository, RepositoryKind, differences
from llamaduo.deployment.outgoing import (
    DATASET_MANIFEST,
    SHOWN_IDS,
    Package,
    Plan,
    check_public,
)
from llamaduo.errors import PublishFailed, PublishRefused
from llamaduo.records import Event, Notify, silent

_OURS = {"model": MANIFEST, "dataset": DATASET_MANIFEST}
"""The file that says who put the others there."""
_REPLACED = re.compile(
    r"[^/]+\.(?:safetensors|safetensors\.index\.json|gguf|jinja)|Modelfile|adapter_config\.json"
    r"|config\.json|data/[^/]+\.jsonl"
)
"""Files of an earlier publication that would be taken for a part of this one."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a package goes: the repository as it is now, None where it is to be created.
    ``stale`` are files of an earlier publication that the new commit takes away."""

    package: Package
    before: Repository | None
    stale: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """A repository after publishing."""

    kind: RepositoryKind
    address: str
    commit: str
    private: bool
    files: tuple[str, ...]


def look_at_targets(plan: Plan, hub: Hub) -> tuple[Target, ...]:
    """See what is on the Hub already. Nothing is changed.

    Raises:
        PublishRefused: a repository has another visibility than asked for, or holds what
            llamaduo did not put there.
    """
    return tuple(_target(package, hub, plan.public) for package in plan.packages)


def _target(package: Package, hub: Hub, public: bool) -> Target:
    before = hub.look(package.repository, package.kind)
    if before is None:
        return Target(package, None)
    _check_visibility(before, hub, public)
    strange = set(before.files) - {".gitattributes", CARD}
    if strange and _OURS[package.kind] not in before.files:
        raise PublishRefused(
            f"{hub.page(package.repository, package.kind)} holds files that llamaduo did not put"
            f" there: {', '.join(sorted(strange)[:SHOWN_IDS])}.",
            hint="Choose another name with --repo.",
        )
    gone = (name for name in sorted(before.files) if name not in package.files)
    return Target(package, before, tuple(name for name in gone if _REPLACED.fullmatch(name)))


def _check_visibility(found: Repository, hub: Hub, public: bool) -> None:
    page = hub.page(found.name, found.kind)
    if not found.private and not public:
        raise PublishRefused(
            f"{page} is public: what is published there, everybody can read.",
            hint="Choose another name with --repo, make it private on its page, or give --public.",
        )
    if found.private and public:
        raise PublishRefused(
            f"{page} is private, and its earlier revisions would become public with it.",
            hint="Leave --public out, or choose another name with --repo.",
        )


def publish(
    plan: Plan, targets: tuple[Target, ...], hub: Hub, notify: Notify = silent
) -> tuple[Published, ...]:
    """Create what is not there, send every package in one commit each, and look at it again.

    Raises:
        PublishRefused: the Hub made a repository of another visibility: no file was sent.
        PublishFailed: the Hub refused, could not be reached, or does not show what was sent.
    """
    check_public(plan)
    done = []
    for number, target in enumerate(targets):
        notify(Event("publish", number, len(targets), "repositories", target.package.repository))
        done.append(_send(target, plan, hub))
    notify(Event("publish", len(targets), len(targets), "repositories"))
    return tuple(done)


def _send(target: Target, plan: Plan, hub: Hub) -> Published:
    package = target.package
    page = hub.page(package.repository, package.kind)
    if target.before is None:
        hub.create(package.repository, package.kind, private=not plan.public)
    now = _look_again(package, hub)
    _check_visibility(now, hub, plan.public)
    if not target.stale and not differences(package.files, now):
        return _published(package, now, page)
    message = f"llamaduo: {plan.bundle.name}, {plan.bundle.label}"
    hub.upload(now, package.files, target.stale, message)
    after = _look_again(package, hub)
    if wrong := differences(package.files, after):
        raise PublishFailed(
            f"{page} does not show what was sent: {'; '.join(wrong[:SHOWN_IDS])}.",
            hint="Run the same command again: what has arrived is not sent again.",
        )
    return _published(package, after, page)


def _published(package: Package, now: Repository, page: str) -> Published:
    files = tuple(package.files)
    return Published(package.kind, page, now.revision or "", now.private, files)


def _look_again(package: Package, hub: Hub) -> Repository:
    found = hub.look(package.repository, package.kind)
    if found is None:
        raise PublishFailed(
            f"{hub.page(package.repository, package.kind)} is not there, though it was created.",
            hint="Check that the token may read what it creates.",
        )
    return found
