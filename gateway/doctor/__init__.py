"""Doctor: what may be wrong with an installation; each file looks at one side of it, and changes nothing."""
