"""Tests for flip/holdings/checks/."""
