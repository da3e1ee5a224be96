"""Claims of VisionLLM v2 (arXiv 2406.08394) in miniature: `benchmarks/claims.py seeing` prints the verdicts."""
