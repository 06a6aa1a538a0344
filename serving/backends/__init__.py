"""What runs a model: `base` says what the gateway needs of it; there are `onnx`, `tensorflow` and `tfserving`."""
