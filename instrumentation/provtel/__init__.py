"""Record what a computation did and what it cost, while it runs."""
