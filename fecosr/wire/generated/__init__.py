"""Hold what scripts/generate-proto makes from proto/; never edited by hand."""
