"""Gateway: the edge process and the command line; sources fill the shapes that `ingest` owns."""
