"""Envoy, in which a worker runs: its configuration, and its admin interface."""
