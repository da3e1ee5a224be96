"""What the papers that superlink descends from claim, in miniature: "holds" or "not reproduced", with intervals.

    python benchmarks/claims.py gate0 [--items N]
    python benchmarks/claims.py lever [--small] [--grown FILE] [--out FOLDER]
    python benchmarks/claims.py seeing [--only V1,V3] [--small] [--out FOLDER]

gate0, lever: claims of Lever-LM, about examples that the planner sees (``lever_claims.py``).
seeing: claims of VisionLLM v2, about the model that sees and its link to the decoders (``seeing/claims.py``).

A difference holds if its mean has the margin, its 95 % interval (paired bootstrap over items and seeds) excludes 0, and
every seed has its sign (``verdicts.py``). ``--small`` is a try that shows that all runs; its figures are no result.
What was made is kept in FOLDER, so that a stopped run goes on.
"""

import argparse
from pathlib import Path

import lever_claims
import torch
from seeing import claims as seeing_claims


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("claim", choices=["gate0", "lever", "seeing"])
    parser.add_argument("--out", type=Path, default=Path("out/claims"), help="where answers and models are kept")
    parser.add_argument("--items", type=int, help="gate0: so many requests of each house")
    parser.add_argument("--grown", type=Path, help="lever: the file of sequences, if not FOLDER/grown.jsonl")
    parser.add_argument(
        "--only", help="seeing: some claims, separated by commas", metavar=",".join(seeing_claims.CLAIMS)
    )
    parser.add_argument("--seeds", type=int, help="seeing: so many seeds, 3 by default")
    parser.add_argument("--small", action="store_true", help="a try: few houses or pictures, short trainings")
    given = parser.parse_args()
    only = (given.only or ",".join(seeing_claims.CLAIMS)).split(",")
    if unknown := [name for name in only if name not in seeing_claims.CLAIMS]:
        parser.error(f"--only: there is no {', '.join(unknown)}; choose from {', '.join(seeing_claims.CLAIMS)}")
    torch.set_num_threads(1)  # more cost these small models time
    if given.claim == "seeing":
        seeing_claims.run(given.out, only, given.small, given.seeds)
    else:
        lever_claims.run(given.claim, given.out, given.items, given.grown, given.small)


if __name__ == "__main__":
    main()
