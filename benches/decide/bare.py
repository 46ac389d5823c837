#!/usr/bin/env python3
"""Shows what the calls of the trail cost where nothing is kept: instructions of a decision, with and without them.

Two copies of the domain crate are built in the release profile: as it is, and with every statement `trail.step(..);` taken
out of its text. Both make the same decisions with `NoTrail` under callgrind, which counts instructions; a run with no
decisions is taken off. Needs python3 and valgrind. Run it in `benches/`: `decide/bare.py`.
"""

import pathlib, re, shutil, subprocess, sys

TOP = pathlib.Path(__file__).resolve().parents[2]
WORK = TOP / "benches/target/bare"
CALLS = 20_000


def end_of_call(text, at):
    """Where the bracket that opens at `at` is closed, past strings and characters."""
    depth = 0
    while True:
        char = text[at]
        if char == '"':
            at = re.compile(r'"(?:[^"\\]|\\.)*"', re.S).match(text, at).end()
            continue
        if char == "'" and (literal := re.compile(r"'(?:[^'\\]|\\.)'").match(text, at)):
            at = literal.end()
            continue
        depth += (char in "([{") - (char in ")]}")
        at += 1
        if depth == 0:
            return at


def without_steps(text):
    """The text without statements `trail.step(..);`, and how many there were."""
    count, at = 0, 0
    while found := re.compile(r"\btrail\s*\.step\(").search(text, at):
        end = end_of_call(text, found.end() - 1)
        if text[end] == ";":
            text, count, at = text[: found.start()] + text[end + 1 :], count + 1, found.start()
        else:
            at = end
    return text, count


def copy(name):
    """The crate and this benchmark, with what cargo needs around them."""
    tree = WORK / name
    shutil.rmtree(tree, ignore_errors=True)
    for part in ["services/foundation/domain", "benches/decide"]:
        shutil.copytree(TOP / part, tree / part)
    for part in ["benches/Cargo.toml", "benches/Cargo.lock", "Cargo.lock"]:
        shutil.copy(TOP / part, tree / part)
    root = (TOP / "Cargo.toml").read_text()
    root = re.sub(r"members\s*=\s*\[.*?\]", 'members = ["services/foundation/domain"]', root, count=1, flags=re.S)
    (tree / "Cargo.toml").write_text(root)
    return tree


def instructions(tree):
    """Instructions of one decision, all kinds of calls taken together."""
    # What was only there for the words is unused now: that is the point, and no warning.
    build = ["cargo", "build", "--release", "--offline", "-p", "bench-decide", "--target-dir", WORK / "target"]
    subprocess.run(build, cwd=tree / "benches", check=True, env={**__import__("os").environ, "RUSTFLAGS": "-Awarnings"})
    program = tree / "bench-decide"
    shutil.copy(WORK / "target/release/bench-decide", program)

    def count(calls):
        run = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, "--count", str(calls)]
        said = subprocess.run(run, check=True, capture_output=True, text=True).stderr
        return int(re.search(r"Collected : (\d+)", said).group(1))

    return (count(CALLS) - count(0)) / (5 * CALLS)


def main():
    with_steps, bare = copy("with"), copy("without")
    removed = 0
    for file in (bare / "services/foundation/domain/src/routing").rglob("*.rs"):
        text, count = without_steps(file.read_text())
        file.write_text(text)
        removed += count
    a, b = instructions(with_steps), instructions(bare)
    print(f"{removed} calls of the trail; instructions of a decision: {a:.1f} with them, {b:.1f} without, {a / b:.4f}x")


if __name__ == "__main__":
    sys.exit(main())
