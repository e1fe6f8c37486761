"""The composition root: one frozen value for each task of the paper."""
