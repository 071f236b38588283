"""What tests of a running stack share: its clients, its pods, and who of them reaches whom."""
