"""What starts the gateway's workers, watches them, and speaks for all of them together."""
