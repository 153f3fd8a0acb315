"""Who is there: records and votes, the failure detector, gossip and anti-entropy."""
