"""Structured reports as documents: their content tree as HTML, plain text and PDF (PS3.3 A.35, C.17)."""
