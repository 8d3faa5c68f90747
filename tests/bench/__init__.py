"""How fast and how frugal the stack is, beside others that read the same simulated meter."""
