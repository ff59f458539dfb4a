"""RijksNet: deep transfer learning for art classification (Sabatelli et al. 2018)."""
