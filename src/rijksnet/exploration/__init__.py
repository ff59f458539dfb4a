"""Studies of what the paper fixed: recipes searched by Optuna, chosen on the validation split, tested once."""
