"""The gateway beside reference servers, measured in one run, alternating: `make bench`."""
