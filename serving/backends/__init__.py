"""What runs a model: `base.Backend` says what the gateway needs of it, `onnx.OnnxBackend` is the one there is."""
