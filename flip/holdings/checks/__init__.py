"""Health checks: whether this node can serve a system, and what follows when it cannot."""
