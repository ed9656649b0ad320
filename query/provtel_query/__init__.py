"""Questions and answers: find, lineage, PROV documents."""
