"""Arrays of every dtype, for tests by properties."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serving.signatures import DType

_REGISTERED = 2
"""`isbuiltin` of dtypes that numpy got from another package."""


def arrays(dtype: DType, *, min_dims: int = 0, min_side: int = 0) -> st.SearchStrategy[np.ndarray]:
    """Small ones, NaN and infinity among their numbers; Hypothesis does not know ml_dtypes, so they are cast to."""
    shapes = hnp.array_shapes(min_dims=min_dims, max_dims=3, min_side=min_side, max_side=4)
    if dtype.numpy.isbuiltin == _REGISTERED:
        drawn = np.float32 if dtype.kind == "f" else np.int8
        return hnp.arrays(drawn, shapes).map(lambda array: array.astype(dtype.numpy))
    return hnp.arrays(dtype.numpy, shapes, elements=st.binary(max_size=6) if dtype.is_string else None)
