"""Inference: from any photo to its restored version, whatever its size and the memory."""
