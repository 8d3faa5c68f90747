"""Moving over from the built-in route_b_smart_meter."""
