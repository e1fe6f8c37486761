"""Networks for other programs: one file that takes any size, checked against torch.

``portable`` puts what surrounds a network into its graph; ``formats`` writes it; ``verify`` runs
what was written beside torch; ``artefact`` puts the three together, with a card.
"""
