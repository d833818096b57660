"""The HTTP layer: routes, negotiation, parameters, responses, errors."""
