"""The servers themselves: each runs as `python -m benchmarks.peers.servers.NAME` in its own environment."""
