"""Evaluation: the one scorer, for validation in training and for the paper's tables alike."""
