"""What it costs to keep records in a database, beside what others pay."""
