"""Atelier: an image classifier from training to production."""
