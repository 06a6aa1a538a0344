"""Clients' connections, whose bytes Envoy passes on: taken, told apart, watched and ended."""
