"""The index of a store: blocks of rows, each with the keys that lead to its rows and with columns of their values."""
