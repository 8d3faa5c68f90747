"""Tests of the stack, without Home Assistant."""
