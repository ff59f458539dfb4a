"""Suggestions for objects whose field is blank, and doubts about labels that there are."""
