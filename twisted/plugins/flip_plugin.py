"""The signpost by which twistd finds flip; everything else is in flip.tap."""

from twisted.application.service import ServiceMaker

flip = ServiceMaker(
    "flip", "flip.tap", "Keeps every data point of a cluster on exactly one node.", "flip"
)
