"""Modules that speak SK commands: BP35A1, BP35C0, BP35C2, RL7023."""
