"""The rule of thumb for tokens, against counts of OpenAI's o200k taken down once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.service.tokens import approximate_tokens

ENGLISH = (
    "The parcel was sent on Monday, but nobody at the depot can say where it is now. Please find"
    " out, and refund the shipping costs if it does not arrive by Friday."
)
CODE = '''\
def mean(values: list[float]) -> float:
    """The mean of values."""
    if not values:
        raise ValueError("nothing to average")
    return sum(values) / len(values)
'''
JSON = (
    '{"similarity": {"reason": "The response names the same label.", "score": 95}, "precision":'
    ' {"reason": "It is right.", "score": 100}}'
)
GERMAN = (
    "Könnten Sie bitte überprüfen, ob die Rückerstattung bereits veranlasst wurde? Ich habe bis"
    " heute keine Versandbestätigung erhalten."
)
RUSSIAN = (
    "Пожалуйста, проверьте, где находится посылка, и верните деньги, если доставка невозможна."
)


@pytest.mark.parametrize(
    ("text", "counted", "within"),
    [
        (ENGLISH, 36, 0.1),
        (CODE, 41, 0.15),
        (JSON, 38, 0.1),
        (GERMAN, 29, 0.25),
        (RUSSIAN, 24, 0.25),
        ("请您帮我查一下包裹在哪里，如果无法送达，请退款。", 17, 0.25),
        ("荷物が今どこにあるのか調べていただけますか。返金をお願いします。", 23, 0.25),
        ("소포가 어디에 있는지 확인해 주시기 바랍니다.", 14, 0.25),
        ("هل يمكنكم التحقق من مكان الطرد وإعادة المبلغ إذا تعذر التسليم؟", 19, 0.25),
    ],
)
def test_the_count_is_near_the_tokenizers(text: str, counted: int, within: float) -> None:
    assert abs(approximate_tokens(text) - counted) <= within * counted


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_has_a_count_and_more_text_has_no_less(one: str, other: str) -> None:
    assert 0 <= approximate_tokens(one) <= approximate_tokens(f"{one}\n{other}") + 1


def test_every_character_of_a_text_counts_at_some_point() -> None:
    """A script that the rules do not name is not free."""
    for text in ("ᚠᚢᚦᚨᚱᚲ", "🎉🎊🎈", "____", "\u0939\u093f\u0928\u094d\u0926\u0940"):
        assert approximate_tokens(text * 20) >= 10
