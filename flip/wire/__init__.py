"""What nodes say to one another, and how it is sealed."""
