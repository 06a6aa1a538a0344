"""What runs a model. A back end is named in `BACKENDS` by its import string, so that nothing heavy loads unasked."""
