"""Pages about people: the directory, rotas, rounds, partners and what people report; one file a room."""
