"""Catalogue: the public scenarios, by medium: what plays where, and what is to be said about it."""
