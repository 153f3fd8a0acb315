"""flip's own hooks, ip_up and ip_down, and the standard-library modules that they share."""
