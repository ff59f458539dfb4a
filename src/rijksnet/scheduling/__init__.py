"""`dvc repro` with as many workers as there are: stages side by side, here or on other machines."""
