#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs check_floors.py over fixture/ and compares what it says with fixture/expected.txt."""
import difflib
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
fixture = here / "fixture"
run = subprocess.run(
    [sys.executable, str(here / "check_floors.py"), str(fixture), str(fixture / "floors.txt")],
    capture_output=True, text=True)

expected = (fixture / "expected.txt").read_text()
sys.stdout.writelines(difflib.unified_diff(
    expected.splitlines(True), run.stdout.splitlines(True), "expected.txt", "check_floors.py"))
print(run.stderr, end="")
print(f"check_floors.py ended with {run.returncode}, expected 1")
sys.exit(0 if run.returncode == 1 and run.stdout == expected else 1)
