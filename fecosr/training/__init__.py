"""One market's work: training in a round, fine-tuning after the last one, and evaluation."""
