"""Training and validation data: source → manifest → Pair → batch."""
