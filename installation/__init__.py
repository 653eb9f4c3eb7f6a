"""Where this installation keeps its state, how it is set, and the one shape of a fault shown to people."""
