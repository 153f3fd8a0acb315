"""Whole real nodes on virtual time: machines, network, hooks and faults from one seed."""
