"""`/openapi.json` and `/docs`: the REST API as the loaded models make it."""
