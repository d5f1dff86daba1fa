"""Tests of the directory, of rotas and of those who are called."""
