"""From sound to what is said: speech features at 25 Hz."""
