"""What bounds the influence of one contribution."""
