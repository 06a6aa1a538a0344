"""Serialized `tf.Example`s, as clients of Classify and Regress send them."""

from __future__ import annotations

import numpy as np


def example(**features: np.ndarray) -> bytes:
    """One Example: integers as an int64_list, fractions as a float_list."""
    from tensorflow.core.example import example_pb2

    message = example_pb2.Example()
    for name, values in features.items():
        feature = message.features.feature[name]
        kind = feature.int64_list if np.issubdtype(values.dtype, np.integer) else feature.float_list
        kind.value.extend(values.ravel().tolist())
    return message.SerializeToString()
