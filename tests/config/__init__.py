"""Tests for `flip.config`."""
