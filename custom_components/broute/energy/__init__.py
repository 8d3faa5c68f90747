"""What the meter counted, kept and brought into Home Assistant's statistics."""
