"""A real Home Assistant, the integration and a simulated meter, for people to look at and for machines to check."""
