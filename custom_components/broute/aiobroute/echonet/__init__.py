"""ECHONET Lite frames, and the properties of a low-voltage smart electric energy meter."""
