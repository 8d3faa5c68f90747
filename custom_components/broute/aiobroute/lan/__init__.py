"""Meters that are nodes of the home network: ECHONET Lite over UDP, without a radio module."""

from .meter import NodeMeter, connect_node
from .search import FoundNode, find_nodes

__all__ = ["FoundNode", "NodeMeter", "connect_node", "find_nodes"]
