"""The dongle, its port and the way to the meter."""
