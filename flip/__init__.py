"""flip keeps every data point of a cluster on exactly the node that should have it."""

__version__ = "0.1.0"
