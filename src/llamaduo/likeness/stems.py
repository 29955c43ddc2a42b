"""Words cut to their stems, as rouge-score does it on request: Porter's algorithm, English."""

from __future__ import annotations

from typing import Any

import numpy as np

from llamaduo.errors import ExtraMissing
from llamaduo.likeness.texts import Texts, Vocabulary

LONGER_THAN = 3
"""Words of so many characters or fewer stay as they are."""


def stemmed(texts: Texts, vocabulary: Vocabulary) -> Texts:
    """``texts`` with each word replaced by its stem. Each distinct word is stemmed once; the
    stems become words of ``vocabulary``.

    Words with anything but a-z and 0-9 in them are not English and stay; so does what stands for
    a whole text (symbols, or all frame).

    Raises:
        ExtraMissing: nltk is not installed.
    """
    stemmer = _stemmer()
    stems = np.arange(len(vocabulary), dtype=np.int32)
    for number in np.unique(texts.words):
        word = vocabulary.word(number)
        if len(word) > LONGER_THAN and word.isascii() and word.isalnum():
            stems[number] = vocabulary.intern(stemmer.stem(word))
    return Texts(stems[texts.words], texts.starts)


def _stemmer() -> Any:
    try:
        from nltk.stem.porter import PorterStemmer
    except ImportError as error:
        raise ExtraMissing(
            f"Stemming needs {error.name}, which is not installed.",
            hint="pip install 'llamaduo[stemming]', or leave curation.stemming out.",
        ) from error
    return PorterStemmer()
