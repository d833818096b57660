"""Structured reports written out: a tree of what they say, as HTML and as plain text (PS3.3 A.35, C.17)."""
