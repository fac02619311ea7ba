"""Runstream."""
