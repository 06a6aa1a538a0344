"""Where clients come in: taken at the ports, spoken TLS to, and told apart by what they speak."""
