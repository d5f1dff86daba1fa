"""Sources: one file a field protocol; a source only fetches, everything else happens above it."""
