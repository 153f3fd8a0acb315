"""Grants: the right to serve a data point of an exclusive system, given by its voters."""
