"""Pure translators between Part 10 bytes, DICOM JSON, Native DICOM XML and multipart bodies; no I/O."""
