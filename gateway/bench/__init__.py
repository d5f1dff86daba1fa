"""Bench: what this machine can carry; each stage measured beside its floor, both in one run."""
