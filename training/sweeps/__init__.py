"""Sweeps: one recipe trained at every point of a grid of settings."""
