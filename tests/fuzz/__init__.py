"""Anything at any point: on the serial line, in frames, and in the conversation of a whole connection."""
