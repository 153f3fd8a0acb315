"""The configuration: a JSON file in, frozen typed values or a report of every problem out."""

from flip.config.loading import load
from flip.config.settings import schema
from flip.config.values import Check, Config, Problem, Server, System

__all__ = ["Check", "Config", "Problem", "Server", "System", "load", "schema"]
