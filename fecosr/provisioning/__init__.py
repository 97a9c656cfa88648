"""Write the startup kits: everything a party needs to take part, one folder each.

Made by one hand:
federation_file   what an operator writes: plan, markets, where the coordinator is
kits              the folders, complete or not there at all

Made where the keys stay:
enrolment         a party makes its keys and a request
request           what a request says and proves
approval          what the authority checks; revocation
authority         the authority's folder
register          what it remembers
package           what it sends back
acceptance        what the party checks before it takes that over

fingerprints, folders, toml_text   how all of them are written
"""
