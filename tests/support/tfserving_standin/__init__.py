"""A stand-in for `tensorflow_model_server`: a real gRPC server on the official stubs, for where that is not installed.

`python -m tests.support.tfserving_standin --model-config-file FILE --port 0` prints one line of JSON with its port.
"""

from tests.support.tfserving_standin import stubs

__all__ = ["stubs"]
