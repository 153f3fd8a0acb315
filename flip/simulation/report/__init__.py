"""What a simulation showed: recorded while it runs, then told as numbers, text and picture."""
