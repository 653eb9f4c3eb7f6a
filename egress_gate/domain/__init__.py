"""What a release request is and how it may move. Pure: no disk, network, clock, chance or database."""
