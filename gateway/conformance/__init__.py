"""What we claim of PS3.18: rows held by passing tests, and the statement (PS3.2) made from them."""
