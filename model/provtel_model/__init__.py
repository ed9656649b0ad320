"""What two rooms of provtel must agree on: vocabulary, record, codec, hash, journal format and contracts."""
