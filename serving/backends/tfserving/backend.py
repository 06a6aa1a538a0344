"""One version of one model on TensorFlow Serving servers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from serving.backends.tfserving.messages import PredictCodec, decode_signatures, metadata_request
from serving.backends.tfserving.pool import GET_MODEL_METADATA, Pool, Wanted
from serving.errors import ModelNotFoundError, VersionGoneError
from serving.signatures import Signature, Tensors

PREDICT = "/tensorflow.serving.PredictionService/Predict"


class TfServingBackend:
    """Answers on the event loop, and as many batches at once as it is asked.

    Every signature goes through Predict, which takes those of Classify and Regress too: they are graphs there.
    """

    platform = "tensorflow_savedmodel"

    def __init__(self, pool: Pool, model: str, version: int, signatures: Mapping[str, Signature]) -> None:
        self._pool = pool
        self._wanted = Wanted(model, version)
        self._codecs = {name: PredictCodec(model, version, name, signature) for name, signature in signatures.items()}
        self.signatures = signatures

    @classmethod
    async def load(cls, pool: Pool, model: str, version: int) -> TfServingBackend:
        """Asks a server for the version's signatures.

        Raises:
            BundleError: it has none that arrays can answer.
            ServingError: no server could be asked.
        """
        request = metadata_request(model, version=version)
        answer = await pool.call(GET_MODEL_METADATA, request, wanted=Wanted(model, version))
        return cls(pool, model, version, decode_signatures(answer))

    async def run(self, signature_name: str, inputs: Tensors, deadline: float | None = None) -> dict[str, np.ndarray]:
        """One batch, one RPC; `deadline` is in the event loop's time. See `RemoteBackend.run` and `Pool.call`.

        Raises:
            VersionGoneError: no server has the version any more.
        """
        codec = self._codecs[signature_name]
        try:
            answer = await self._pool.call(PREDICT, codec.encode(inputs), deadline=deadline, wanted=self._wanted)
        except ModelNotFoundError as error:
            model, version = self._wanted
            raise VersionGoneError(f"Servable not found for request: Specific({model}, {version})") from error
        return codec.decode(answer)

    def close(self) -> None:
        """Nothing is held here: the connections are the pool's."""
