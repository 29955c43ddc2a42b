"""The files of a model folder, read without torch: JSON, and safetensors tensor by tensor."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamaduo.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_LONGEST_HEADER = 100 << 20  # bytes; the format's own limit
_AGAIN = "Pack the bundle again with llamaduo deploy: it writes the model anew."


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is no such file.

    Raises:
        ModelError: the file holds something else.
    """
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}.", hint=_AGAIN) from error
    if not isinstance(found, dict):
        raise ModelError(f"{path} does not hold a JSON object.", hint=_AGAIN)
    return found


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where one tensor lies: ``size`` bytes of ``file`` from ``start``, row by row."""

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int

    def read(self) -> NDArray[np.float32]:
        """The values as 32-bit floats, in ``shape``.

        Raises:
            ModelError: a value is infinite or not a number.
        """
        import numpy as np

        little = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}[self.dtype]
        with self.file.open("rb") as file:
            file.seek(self.start)
            raw = np.fromfile(file, dtype=little, count=math.prod(self.shape))
        if self.dtype == "BF16":  # the upper half of a 32-bit float
            raw = (raw.astype(np.uint32) << 16).view(np.float32)
        values = raw.astype(np.float32, copy=False).reshape(self.shape)
        if not np.isfinite(values).all():
            raise ModelError(
                f"{self.file}: {self.name} has values that are infinite or not numbers.",
                hint="The fine-tune that wrote this model failed: run it again.",
            )
        return values


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of a model, one file or several with an index; nothing is loaded yet.

    Raises:
        ModelError: weights are missing or damaged.
    """
    index = folder / _INDEX
    if not index.is_file():
        return _tensors_of(folder / _WHOLE)
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(_is_name(file) for file in places.values()):
        raise ModelError(f"{index} does not say which file holds what.", hint=_AGAIN)
    shards = {name: _tensors_of(folder / name) for name in sorted(set(places.values()))}
    for name, shard in places.items():
        if name not in shards[shard]:
            raise ModelError(f"{folder / shard} lacks {name}, which {_INDEX} names.", hint=_AGAIN)
    return {name: shards[shard][name] for name, shard in places.items()}


def count_weights(folder: Path) -> int:
    """How many numbers the weights of a model folder are, whatever they are stored as.

    Raises:
        ModelError: weights are missing or damaged.
    """
    index = folder / _INDEX
    places = read_json(index).get("weight_map") or {"": _WHOLE}
    try:
        headers = [_header(folder / name)[0] for name in sorted(set(places.values()))]
        return sum(
            math.prod(entry["shape"])
            for header in headers
            for name, entry in header.items()
            if name != "__metadata__"
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The weights in {folder} are damaged: {error}.", hint=_AGAIN) from error


def _is_name(file: Any) -> bool:
    """Whether this names a file of the folder itself, and none beyond it."""
    return isinstance(file, str) and Path(file).name == file


def _tensors_of(file: Path) -> dict[str, StoredTensor]:
    if not file.is_file():
        raise ModelError(f"{file} is missing: there are no weights to export.", hint=_AGAIN)
    try:
        header, begin = _header(file)
        return {
            name: _stored(file, name, entry, begin)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{file} is damaged: {error}.", hint=_AGAIN) from error


def _header(file: Path) -> tuple[Mapping[str, Any], int]:
    """The header of a safetensors file, and where its data begin."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 0 < length <= _LONGEST_HEADER:
            raise ValueError("it does not begin like a safetensors file")
        header = json.loads(stream.read(length))
    if not isinstance(header, dict):
        raise TypeError("its header is not an object")
    return header, 8 + length


def _stored(file: Path, name: str, entry: Mapping[str, Any], begin: int) -> StoredTensor:
    dtype, shape = entry["dtype"], tuple(int(n) for n in entry["shape"])
    start, end = entry["data_offsets"]
    if dtype not in _BYTES:
        raise ValueError(f"{name} is stored as {dtype}, not as floats")
    if end - start != math.prod(shape) * _BYTES[dtype] or start < 0:
        raise ValueError(f"{name} does not have the size of its shape")
    if begin + end > file.stat().st_size:
        raise ValueError(f"it ends before {name} does")
    return StoredTensor(name, file, dtype, shape, begin + start, end - start)
