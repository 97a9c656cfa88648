"""The methods a market could use on its own, measured on the same targets."""
