"""One module for each way of capturing.

Each has ``start()``, ``wrap(function)``, ``stop()`` (returns when the records are where they will stay),
``size()`` (bytes of all records) and ``differences(expected)`` (empty where every record is as it was called).
"""
