"""A picture of any size in bounded memory, with the result of one piece.

``stream`` goes over the picture in ``sweep`` after ``sweep``, tile by tile (``tiles``); what
outlives a sweep rests on a ``canvas``.
"""
