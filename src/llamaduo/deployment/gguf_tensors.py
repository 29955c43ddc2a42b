"""The tensors of a GGUF file: which type each has, and its values, read one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llamaduo.deployment.gguf_shape import Part, Shape
from llamaduo.deployment.gguf_splitting import OTHERWISE
from llamaduo.deployment.settings import GgufKind
from llamaduo.errors import ExportUnsupported

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LARGEST = {"F16": 65504.0, "Q8_0": 65504.0 * 127}
"""The largest value that fits: of an F16 number, and of a Q8_0 block with its F16 scale."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the file: ``shape`` and ``dtype`` as numpy holds it, ``size`` in bytes."""

    name: str
    shape: tuple[int, ...]
    dtype: Any
    size: int
    stored_as: Any
    part: Part | None
    factors: tuple[float, ...] = ()

    def values(self, gguf: Any) -> NDArray[Any]:
        """What to write.

        Raises:
            ExportUnsupported: a weight does not fit.
            ModelError: a weight is no number.
        """
        import numpy as np

        if self.part is None:
            return np.array(self.factors, dtype=np.float32)
        values = self.part.stored.read()
        _require_fit(self.part, values, self.stored_as.name)
        if self.part.heads is not None:
            values = _reorder(values, self.part.heads)
        return gguf.quants.quantize(values, self.stored_as)  # type: ignore[no-any-return]


def layout(gguf: Any, shape: Shape, parts: Sequence[Part], kind: GgufKind) -> Iterator[Tensor]:
    """Every tensor of the file, in order, with the type that llama.cpp's converter gives it."""
    import numpy as np

    types = gguf.GGMLQuantizationType
    if factors := shape.rope_factors:
        size = (len(factors),)
        name = "rope_freqs.weight"
        yield Tensor(name, size, np.dtype("f4"), 4 * len(factors), types.F32, None, factors)
    for part in parts:
        rows = part.stored.shape
        stored_as = types[kind]
        if len(rows) == 1:
            stored_as = types.F32
        elif kind == "Q8_0" and rows[-1] % 32:  # no whole blocks
            stored_as = types.F16
        if stored_as is types.Q8_0:
            rows = gguf.quants.quant_shape_to_byte_shape(rows, stored_as)
            dtype: Any = np.dtype("u1")
        else:
            dtype = np.dtype("f2" if stored_as is types.F16 else "f4")
        size = int(np.prod(rows)) * dtype.itemsize
        yield Tensor(part.name, rows, dtype, size, stored_as, part)


def _reorder(values: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """The rows of each head as llama.cpp rotates them: in pairs of neighbours, where
    transformers pairs the first half of a head with its second."""
    rows, width = values.shape
    halves = values.reshape(heads, 2, rows // heads // 2, width)
    return halves.swapaxes(1, 2).reshape(rows, width)


def _require_fit(part: Part, values: NDArray[np.float32], kind: str) -> None:
    largest = float(abs(values).max(initial=0.0))
    if largest > _LARGEST.get(kind, largest):
        raise ExportUnsupported(
            f"{part.stored.file}: {part.stored.name} has the value {largest:g}, which does not"
            f" fit into {kind}.",
            hint=OTHERWISE,
        )
