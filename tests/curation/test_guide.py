"""docs/curation.md has every rule as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamaduo.curation.curate import BALANCE, STEPS
from llamaduo.curation.rules import RULES, Rule
from llamaduo.curation.settings import CurationSettings

GUIDE = (Path(__file__).parents[2] / "docs" / "curation.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_has_a_row(rule: Rule) -> None:
    (row,) = [line for line in GUIDE.splitlines() if line.startswith(f"| {rule.name} |")]
    plain = row.replace("`", "")
    assert f"| {rule.drops} | {rule.why} |" in plain
    assert plain.rstrip("| ").endswith(rule.setting or rule.why)


def test_every_step_and_every_setting_is_named() -> None:
    for name in (*STEPS.values(), BALANCE, *CurationSettings.model_fields):
        assert name in GUIDE, name
