"""HTTP/1.1, read and answered on the event loop."""
