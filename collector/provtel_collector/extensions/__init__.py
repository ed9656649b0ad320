"""Extensions: what belongs to the collector but not to the flow of data."""
