"""Tests of the linkage centre."""
