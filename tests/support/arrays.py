"""Arrays of every dtype, for tests by properties."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serving.signatures import DType


def arrays(dtype: DType, *, min_dims: int = 0, min_side: int = 0) -> st.SearchStrategy[np.ndarray]:
    """Small ones, NaN and infinity among their numbers; Hypothesis does not know bfloat16, so it is rounded to."""
    shapes = hnp.array_shapes(min_dims=min_dims, max_dims=3, min_side=min_side, max_side=4)
    if dtype.name == "bfloat16":
        return hnp.arrays(np.float32, shapes).map(lambda array: array.astype(dtype.numpy))
    return hnp.arrays(dtype.numpy, shapes, elements=st.binary(max_size=6) if dtype.is_string else None)
