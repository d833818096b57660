"""Frame bytes to pixels and back: codecs, on a bounded pool of threads."""
