"""Records of connections that a person may hand to others; docs/records.md has the format."""
