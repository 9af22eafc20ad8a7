#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails on an include that runs up a floor, and on what a floor promises never to do.

    check_floors.py <folder that holds seawall/> <table>

A line of the table is either `<floor> <header, or folder/>` (the longest match counts) or
`<header> -> <header>...`, arrows within one floor that are allowed.
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', re.M)
COMMENT_OR_LITERAL = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])'""", re.S)
CLOCK = re.compile(r"\bnow\s*\(\s*\)|\b(?:clock_gettime|gettimeofday|__rdtsc)\b")
SLEEP = re.compile(r"\b(?:sleep_for|sleep_until|usleep|nanosleep|std::j?thread(?!::)|std::async|condition_variable\w*)\b")

UMBRELLA = "seawall.hpp"
FORMAT = "format.hpp"


def read_table(path):
    floors, arrows, errors = {}, set(), []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        if match := re.fullmatch(r"(\d+)\s+(\S+)", line):
            floors[match[2]] = int(match[1])
        elif match := re.fullmatch(r"(\S+)\s*->\s*(\S.*)", line):
            arrows.update((match[1], target) for target in match[2].split())
        else:
            errors.append(f"{path.name}:{number}: not a line of the table: {line}")
    return floors, arrows, errors


def row_of(header, floors):
    if header in floors:
        return header
    folders = [row for row in floors if row.endswith("/") and header.startswith(row)]
    return max(folders, key=len, default=None)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def blank(match):
    """What is replaced keeps its line breaks, so that line numbers stay true."""
    return re.sub(r"[^\n]", " ", match[0])


def find_cycle(graph):
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return None
        path.append(node)
        for target in sorted(graph.get(node, ())):
            if found := visit(target):
                return found
        path.pop()
        done.add(node)
        return None

    return next((found for node in sorted(graph) if (found := visit(node))), None)


def reached_from(graph, roots):
    reached, queue = set(), list(roots)
    while queue:
        header = queue.pop()
        if header not in reached:
            reached.add(header)
            queue.extend(graph.get(header, ()))
    return reached


def check(root, table):
    floors, arrows, errors = read_table(table)
    used_rows, used_arrows, graph = set(), set(), {}
    base = root / "seawall"
    headers = sorted(path.relative_to(base).as_posix() for path in base.rglob("*.hpp"))

    for header in headers:
        text = (base / header).read_text()
        row = row_of(header, floors)
        if row is None:
            errors.append(f"{header}: not in the table")
            continue
        used_rows.add(row)
        floor = floors[row]
        graph[header] = set()

        for match in INCLUDE.finditer(text):
            where = f"{header}:{line_of(text, match.start())}"
            name = match[1]
            if (base / header).parent.joinpath(name).is_file():
                errors.append(f"{where}: {name} is not spelt seawall/...")
                continue
            if floor <= 1 and name.startswith("absl/status/"):
                errors.append(f"{where}: floor {floor} does not know {name}")
            if header != FORMAT and name.startswith("fmt/"):
                errors.append(f"{where}: only {FORMAT} includes {name}")
            if not name.startswith("seawall/"):
                continue
            target = name[len("seawall/"):]
            graph[header].add(target)
            if target not in headers:
                errors.append(f"{where}: there is no {name}")
                continue
            target_row = row_of(target, floors)
            if target_row is None:
                continue  # reported where it is read itself
            if floors[target_row] > floor:
                errors.append(f"{where}: floor {floor} includes {target} on floor {floors[target_row]}")
            elif floors[target_row] == floor:
                if (header, target) in arrows:
                    used_arrows.add((header, target))
                else:
                    errors.append(f"{where}: on one floor, and not in the table: {header} -> {target}")

        code = COMMENT_OR_LITERAL.sub(blank, text)
        if header.startswith("core/"):
            for match in CLOCK.finditer(code):
                errors.append(f"{header}:{line_of(code, match.start())}: core/ reads no clock: {match[0]}")
        if floor <= 3:
            for match in SLEEP.finditer(code):
                errors.append(f"{header}:{line_of(code, match.start())}: no threads or sleep on floor {floor}: {match[0]}")

    if cycle := find_cycle(graph):
        errors.append("headers that include each other: " + " -> ".join(cycle))
    errors += [f"{table.name}: no header for {row}" for row in sorted(set(floors) - used_rows)]
    errors += [f"{table.name}: nobody needs {a} -> {b}" for a, b in sorted(arrows - used_arrows)]

    if UMBRELLA in headers:
        # Machines may also be there for an adapter alone.
        floor_of = {h: floors[row] for h in headers if (row := row_of(h, floors)) is not None}
        by_umbrella = reached_from(graph, [UMBRELLA])
        by_adapters = reached_from(graph, [h for h, floor in floor_of.items() if floor == 5])
        for header, floor in floor_of.items():
            if floor <= 4 and header not in by_umbrella and not (floor == 1 and header in by_adapters):
                errors.append(f"{UMBRELLA}: does not reach {header}")
    return headers, errors


def main():
    root, table = map(pathlib.Path, sys.argv[1:])
    headers, errors = check(root, table)
    for error in errors:
        print(error)
    print(f"{len(headers)} headers, {len(errors)} errors")
    return 1 if errors or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
