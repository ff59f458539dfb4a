"""Weights that Keras saved, as weights of the same network here: Keras is not needed, and nothing in a file is run."""
