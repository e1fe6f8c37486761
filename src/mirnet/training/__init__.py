"""Training: recipe, schedule, objective, state, and a loop that reads as the algorithm."""
