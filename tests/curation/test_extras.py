from __future__ import annotations

import pytest

from llamaduo.curation import extras
from llamaduo.curation.extras import NEEDED, check_extras
from llamaduo.curation.settings import CurationSettings
from llamaduo.errors import ExtraMissing


@pytest.mark.parametrize("extra", NEEDED)
def test_a_missing_extra_is_named_before_anything_is_spent(
    extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = CurationSettings.model_validate({extra: True})
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(ExtraMissing, match=f"curation.{extra} is on") as missing:
        check_extras(settings)
    assert missing.value.hint == f"pip install 'llamaduo[{extra}]'"
    check_extras(CurationSettings())
