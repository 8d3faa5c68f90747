"""The command line: what `python -m aiobroute` can do, and how it is shown."""
