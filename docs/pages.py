"""Writes the pages of docs/results from the JSON files beside them.

python -m docs.pages
"""

import pathlib

from sen_tf.experiments import pages

if __name__ == "__main__":
    for path, text in pages.render(pathlib.Path(__file__).parent / "results").items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path}")
