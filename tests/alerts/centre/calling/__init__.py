"""Tests of who is called, in which order, and that nobody is forgotten."""
