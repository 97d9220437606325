"""Files of others: readers, writers, coordinate systems and mappings. Pure: bytes in, rows out."""
