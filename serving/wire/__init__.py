"""Pure codecs between bytes on the wire and numpy arrays; no transport, no model."""
