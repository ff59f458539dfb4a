"""`python -m rijksnet` is `rijksnet`."""

from rijksnet.cli import main

main()
