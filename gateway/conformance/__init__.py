"""Our claims of conformance to PS3.18: rows held by passing tests, and the statement (PS3.2) about them."""
