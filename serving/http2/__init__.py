"""HTTP/2, whose frames are read and written on the event loop."""
