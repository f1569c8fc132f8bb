"""Decimal128 columns into Arrow without a Python Decimal for each value, which would take a sixth of all decoding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from bson import Decimal128

from collect_pipelines.schema import DECIMAL

_ZERO = Decimal128("0").bid
_BIAS = 6176
_EXPONENT = np.uint64(0x3FFF)
_HIGH_COEFFICIENT = np.uint64((1 << 49) - 1)
_LARGE = 2**63


def plain_decimals(values: Sequence[Decimal128 | None]) -> pa.Array | None:
    """Convert a column whose values are of 18 digits or so with up to 18 after the point; None if any is not.

    Reads the binary integer decimal encoding of the BSON specification: sign, 14 bits of exponent, coefficient.
    """
    encoded = b"".join(_ZERO if value is None else value.bid for value in values)
    low, high = np.frombuffer(encoded, dtype="<u8").reshape(-1, 2).T
    exponents = ((high >> np.uint64(49)) & _EXPONENT).astype(np.int64) - _BIAS
    if not len(low) or (high & _HIGH_COEFFICIENT).any() or exponents.max() > 0 or exponents.min() < -DECIMAL.scale:
        return None  # also for NaN, infinities and the long form, whose exponent bits are set high
    scale = -int(exponents.min())
    factors = 10 ** (exponents + scale).astype(np.uint64)
    if (low > (_LARGE - 1) // factors).any():
        return None
    numbers = (low * factors).astype(np.int64)
    numbers[(high >> np.uint64(63)) == 1] *= -1
    missing = np.fromiter((value is None for value in values), np.bool_, len(values))
    wide = pa.array(numbers, mask=missing).cast(pa.decimal128(DECIMAL.precision, 0))
    scaled = pa.Array.from_buffers(pa.decimal128(DECIMAL.precision, scale), len(wide), wide.buffers())
    return scaled.cast(DECIMAL)
