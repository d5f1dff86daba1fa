"""Fuzz: what comes over the wire, lies in damaged files or is typed into settings, made up by the million."""
