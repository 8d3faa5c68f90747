"""A pretend smart meter behind a pretend Wi-SUN module, written from the manuals."""
