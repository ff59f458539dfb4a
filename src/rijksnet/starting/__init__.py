"""`rijksnet init`: from a person's table and images to parameters that run."""
