"""Read the operator's TOML files; everything unknown, missing or out of range is refused in one line.

plan.toml         the federation plan: the same for every party, hashed into every manifest and the ledger
roster.toml       the pinned identities
coordinator.toml  where the coordinator listens and keeps its state
node.toml         where a market's data, state and coordinator are, and what its policy accepts
"""
