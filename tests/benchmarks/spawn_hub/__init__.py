"""Two small hubs for the spawn benchmark, alike but for the spawner."""
