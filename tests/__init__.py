"""Tests, and the simulator that they run against."""
