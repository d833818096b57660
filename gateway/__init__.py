"""A DICOMweb (PS3.18) gateway over an object store."""
