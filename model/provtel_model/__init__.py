"""What two rooms must agree on: vocabulary, records, codecs, the journal's format, component contracts."""
