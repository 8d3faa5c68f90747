"""A real Home Assistant, a simulated meter, and a person in front of a browser."""
