"""Writes the pages of docs/results from the JSON files beside them.

  cp runs/sequence/table.json docs/results/sequence.json
  python -m docs.results_pages

publishes the table that `python -m sen_tf.reproduce --table=sequence` made.
"""

import pathlib

from sen_tf.experiments import pages

if __name__ == "__main__":
    for path, text in pages.render(pathlib.Path(__file__).parent / "results").items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
