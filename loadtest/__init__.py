"""Load tests with Locust. They know the wire, and nothing else of the gateway."""
