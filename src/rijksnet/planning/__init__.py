"""What `dvc repro` would do, how long it takes on this machine, and how much it writes."""
