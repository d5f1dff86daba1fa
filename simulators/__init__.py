"""Simulators: sites that misbehave on request, started as processes of their own."""
