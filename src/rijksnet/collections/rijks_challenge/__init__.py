"""The Rijksmuseum Challenge 2014 (Mensink and van Gemert, ICMR 2014), as published: images, XML records, ground truth.

A row of the ground truth is the rank of its file among the existing files, not the index in the file's name.
"""
