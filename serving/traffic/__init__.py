"""Which version answers whom: weights, shadows, and the labels that a running gateway moves."""
