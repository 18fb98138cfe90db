#!/usr/bin/env python3
"""The charts of scripts/bench, from made-up points, and a curve measured at its smallest: charts_test.py [HIGGS_TRAIN]."""
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import curve_charts  # noqa: E402
import curves  # noqa: E402
from draw import HEIGHT, WIDTH, Series, line_chart, log_ticks, number  # noqa: E402
from synthetic import tensor, write_manifest  # noqa: E402
from watch import measured_steps  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"
PROGRAM = sys.argv.pop(1) if len(sys.argv) > 1 and os.sep in sys.argv[1] else None


def draw(series, **more):
    return xml.etree.ElementTree.fromstring(line_chart("A & B", "lines", "seconds", series, **more))


def texts(chart, kind):
    return [text.text for text in chart.iter(SVG + "text") if text.get("class") == kind]


class LineChart(unittest.TestCase):
    def test_has_every_series_and_tick(self):
        chart = draw([Series("one <1>", [(10, 2), (1000, 7)]), Series("two", [(10, 3, 1, 4), (1000, 9, 8, 10)], calculated=True)],
                     x_log=True)
        self.assertEqual(sum(group.get("class") == "series" for group in chart.iter(SVG + "g")), 2)
        self.assertIn("one <1>", [text.text for text in chart.iter(SVG + "text")])
        self.assertEqual(texts(chart, "x"), ["10", "20", "50", "100", "200", "500", "1,000"])
        self.assertEqual(texts(chart, "y"), ["0", "2", "4", "6", "8", "10"])

    def test_takes_the_ticks_it_is_given(self):
        chart = draw([Series("one", [(4, 1), (256, 2)])], x_log=True, x_ticks=[4, 64, 256])
        self.assertEqual(texts(chart, "x"), ["4", "64", "256"])

    def test_keeps_everything_inside(self):
        many = [Series(f"series number {i} with a long name", [(1, 1e-3), (1e7, 1e4)]) for i in range(4)]
        for text in draw(many, x_log=True, y_log=True).iter(SVG + "text"):
            self.assertLess(float(text.get("x", 0)) + (0 if text.get("text-anchor") else 7 * len(text.text)), WIDTH)
            self.assertLess(float(text.get("y", 0)), HEIGHT)

    def test_refuses_what_it_cannot_show(self):
        for points in ([], [(1, math.nan)], [(math.inf, 1), (2, 2)]):
            with self.assertRaises(ValueError):
                draw([Series("one", [(1, 1), (2, 2)]), Series("bad", points)])
        with self.assertRaises(ValueError):
            draw([])
        with self.assertRaises(ValueError):
            draw([Series("zero", [(0, 1), (10, 2)])], x_log=True)

    def test_logarithmic_ticks_enclose_the_values(self):
        self.assertEqual(log_ticks(0.3, 3), [0.2, 0.5, 1, 2, 5])
        self.assertEqual([number(tick) for tick in log_ticks(10, 1e7)], ["10", "100", "1,000", "10k", "100k", "1M", "10M"])


class Measuring(unittest.TestCase):
    def test_leaves_the_first_step_out(self):
        steps = [{"seconds": 9.0, "tokens": 5}, {"seconds": 10.0, "tokens": 10}, {"seconds": 12.0, "tokens": 15}]
        self.assertEqual(measured_steps(steps), ([1.0, 2.0], [5, 5]))

    def test_every_line_of_a_manifest_has_its_own_text(self):
        with tempfile.TemporaryDirectory() as folder:
            manifest = write_manifest(pathlib.Path(folder) / "many.jsonl", 2000, [3, 5])
            samples = [json.loads(line) for line in manifest.read_text().splitlines()]
            self.assertEqual(len({sample["messages"][1]["content"] for sample in samples}), 2000)
            urls = {sample["messages"][2]["content"]["audio_url"] for sample in samples}
            self.assertEqual(sorted(tensor(manifest.parent / url, "codes")[0] for url in urls), [[8, 3], [8, 5]])

    def test_what_is_committed_can_be_drawn_and_is_what_the_documents_show(self):
        for name in curves.CURVES:
            text = (ROOT / f"bench/results/curves-{name}.json").read_text()
            self.assertEqual(curves.as_text(json.loads(text)), text)
            for picture, svg in curve_charts.charts(json.loads(text)).items():
                self.assertEqual((ROOT / f"docs/curves/{picture}.svg").read_text(), svg, picture)
                self.assertLess(len(svg), 12_000)

    @unittest.skipUnless(PROGRAM, "no program given")
    def test_measures_the_start_with_a_small_manifest(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, ROOT / "bench/curves.py", "--curve", "manifest", "--program", PROGRAM, "--work",
                            folder, "--base_ckpt", ROOT / "tests/golden/hf/model", "--max_lines", "100", "--repeats", "1",
                            "--out", folder], check=True, capture_output=True)
            points = json.loads((pathlib.Path(folder) / "bench/results/curves-manifest.json").read_text())["series"]["plain"]
            self.assertEqual([point["x"] for point in points], [10, 100])
            self.assertTrue(all(0 < point["anonymous_bytes"] < point["resident_bytes"] for point in points))


if __name__ == "__main__":
    unittest.main()
