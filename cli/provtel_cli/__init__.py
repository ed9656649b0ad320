"""The command line: arguments and wiring, nothing else."""
