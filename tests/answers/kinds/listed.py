"""What is asked, by kind: each module has `asks(held)`, in the order that they are asked in.

Those that only read come first; what is stored, deleted or declared after that would show in searches.
"""

from __future__ import annotations

from tests.answers.kinds import (
    bulk,
    deleting,
    documents,
    failing,
    frames,
    instances,
    metadata,
    negotiating,
    ours,
    rendered,
    rules,
    search,
    storing,
    storing_metadata,
    strict,
    sweep,
    uri,
)

LENIENT = (
    search,
    sweep,
    metadata,
    instances,
    frames,
    bulk,
    rendered,
    documents,
    uri,
    negotiating,
    failing,
    storing,
    storing_metadata,
    rules,
    deleting,
    ours,
)
STRICT = (strict, failing, storing, ours)
