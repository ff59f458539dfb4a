"""What a network looks at (Figure 4): maps by several methods, how faithful they are, how far attention moved."""
