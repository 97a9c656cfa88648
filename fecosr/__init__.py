"""FeCoSR: federated cross-market sequential recommendation under secure aggregation.

The method follows "From Transfer to Collaboration: A Federated Framework for Cross-Market Sequential
Recommendation" (arXiv 2604.13573). ARCHITECTURE.md says which package does what and may import what.
"""

__version__ = "0.1.0"
