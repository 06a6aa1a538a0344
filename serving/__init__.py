"""The gateway: TensorFlow Serving's gRPC and REST on one listener, with continuous batching."""
