"""flip beside keepalived and serf, on a real network of namespaces, through the same faults."""
