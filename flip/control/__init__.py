"""How people and programs ask a running node."""
