"""Centre: the linkage centre, the other role; it stores facts, folds them, and serves a page."""
