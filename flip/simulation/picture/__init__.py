"""A run as a picture: a lane per node, a row per data point, and what broke when."""

from flip.simulation.picture.drawing import draw
from flip.simulation.picture.page import page

__all__ = ["draw", "page"]
