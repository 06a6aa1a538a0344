"""What the supervisor and its workers tell each other, and what a worker knows of the others from it."""
