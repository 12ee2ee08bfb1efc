"""The parts of TokenChain, one file each."""
