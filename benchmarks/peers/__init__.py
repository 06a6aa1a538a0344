"""Other model servers, each in a virtual environment of its own, with the same ONNX model on the same ONNX Runtime."""
