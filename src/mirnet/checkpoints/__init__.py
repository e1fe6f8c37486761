"""Weights files: one file rebuilds its model."""
