"""Wire formats in: archives, CSV, JSON, XML. Bounded, and honest about what they could not read."""
