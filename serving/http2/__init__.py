"""HTTP/2 on the event loop, for clients without TLS: Envoy passes on their bytes, Python reads the frames."""
