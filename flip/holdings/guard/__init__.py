"""The guard: a small process beside the daemon that lets go in time whatever becomes of it."""
