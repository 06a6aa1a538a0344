"""What the parent process hands over to the gateway's process, under which names."""

SETTINGS_VARIABLE = "ATELIER_WORKER_SETTINGS"
"""The settings as JSON."""
CONTROL_VARIABLE = "ATELIER_WORKER_CONTROL_FD"
"""The number of the inherited socket."""
DRAIN = b"drain\n"
"""What the parent writes there when the gateway shall say that it is not ready."""
