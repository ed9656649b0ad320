"""What answers to questions about lineage, runs and documents cost, in a store of 100,000 tasks and in larger ones."""
