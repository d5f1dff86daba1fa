"""Parts: a recording judged by several workers, each some zones, and concluded in one ordered pass."""
