"""The command `fecosr`: what operators, auditors and engineers type."""
