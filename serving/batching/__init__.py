"""Continuous batching: a pure policy decides, a thin shell acts."""
