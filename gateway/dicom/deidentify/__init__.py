"""De-identify by the confidentiality profiles of PS3.15 Annex E. Pure: models in, header patches out."""
