"""Photos on disk and in memory: files, metadata, colour, and the one place that rounds."""
