"""Models of flip's protocols for the model checker spin."""
