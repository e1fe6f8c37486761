"""A batch on several machines: photos are restored by workers on the nodes of a Ray cluster.

``batch`` says what is to do and what came of it, here as there. ``session`` is Ray, started or
found; ``worker`` restores on a node, where ``nearby`` brings what lies in a store; ``crew`` is all
workers; ``dispatch`` gives out the photos, and again those that were in the hands of a worker that
died.
"""
