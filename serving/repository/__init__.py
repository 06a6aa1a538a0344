"""Models and their versions: what is on disk, what should be served, and how to get from one to the other."""
