"""Modules that speak the binary UART protocol: BP35C0-J11, BP35C1-J11, BP35C2-J11, RS-WSUHA-J11."""
