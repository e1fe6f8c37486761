"""Decoders in processes of their own: what a hostile file does to one ends there.

They are written in C and C++, and read formats that have many faults in store. One that crashes,
never ends or takes all memory costs a photo and not the command.
"""
