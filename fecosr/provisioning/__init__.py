"""Write the startup kits: everything a party needs to take part, one folder each.

federation_file   what an operator writes: plan, markets, where the coordinator is
kits              the folders, complete or not there at all
toml_text         values to TOML
"""
