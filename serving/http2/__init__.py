"""HTTP/2 of the gRPC port on the event loop: Envoy passes on their bytes, Python reads the frames."""
