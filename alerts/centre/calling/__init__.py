"""Calling: who must be told about an incident, in which order, and who next when nobody comes."""
