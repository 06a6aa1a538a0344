"""`python -m atelier`, the same as `atelier`."""

from atelier.cli import main

main()
