"""Turn frame bytes into pictures and back: codecs, the rendering pipeline, a bounded pool of threads."""
