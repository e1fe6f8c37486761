"""What computes: one small interface, one file for each runtime, and the choice between them."""
