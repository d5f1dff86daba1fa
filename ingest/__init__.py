"""Ingest: from many senders to one ordered, durable stream of ticks."""
