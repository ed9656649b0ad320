"""What capture costs: our decorator beside those of others, on the same functions with the same arguments."""
