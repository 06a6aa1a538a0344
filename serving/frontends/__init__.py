"""The protocols: each turns its requests into calls of the data plane, and causes into its own codes."""
