"""Photo files from outside: one module per format finds the metadata, and puts it into a new file.

libvips decodes and encodes the pixels, and never sees the metadata. Its reading of EXIF can take
minutes on a small file made for that, and its writing adds fields that nobody asked for.
"""
