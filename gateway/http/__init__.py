"""The HTTP door: routes, negotiation, parameters, responses, errors."""
