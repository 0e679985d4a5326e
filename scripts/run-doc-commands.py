#!/usr/bin/env python3
"""Runs every command of the documentation, as it is written.

    PARALITH=target/debug/paralith scripts/run-doc-commands.py [FILE ...]

Each file's ```sh blocks run in order, in one bash session (`set -euo pipefail`) that starts in the
root of the checkout. Nothing is skipped in silence. Blocks fenced as ```console, ```text or a
language are not commands. An HTML comment on the line before a block, or with one empty line
between, says more:

    <!-- needs: dev chain -->    a chain runs (`paralith dev`), and PARALITH_NODE points to it
    <!-- needs: dev chain --private-contracts -->    the same, with the mediator of private contracts
    <!-- run: by ci itself -->   the block would run this script again: it is named, not run

`--list` prints the blocks and runs nothing. Exit code: 0 if every block succeeded, else 1.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = (
    "README.md",
    "docs/writing-a-runtime.md",
    "docs/shared-runtimes.md",
    "docs/private-contracts.md",
    "docs/chaincode.md",
)
NEEDS_CHAIN = "needs: dev chain"
NEEDS_MEDIATOR = "needs: dev chain --private-contracts"
BY_CI = "run: by ci itself"
LISTEN = "127.0.0.1", 26600
READY_SECONDS = 180
FILE_SECONDS = 1800


class Block:
    def __init__(self, file, number, line, notes, text):
        self.name = f"{file} block {number} (line {line})"
        self.notes = notes
        self.text = text


def blocks_of(file):
    """The ```sh blocks of a Markdown file, with the comments that stand before them."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    blocks, notes, fence, text, start = [], [], None, [], 0
    for number, line in enumerate(lines, 1):
        if fence is not None:
            if line.strip() == "```":
                if fence == "sh":
                    blocks.append(Block(file, len(blocks) + 1, start, notes, "\n".join(text) + "\n"))
                fence, notes = None, []
            else:
                text.append(line)
        elif opened := re.fullmatch(r"```(\w*)", line):
            fence, text, start = opened[1], [], number
        elif line.startswith("```"):
            sys.exit(f"{file}:{number}: a fence that this script does not understand: {line}")
        elif comment := re.fullmatch(r"<!-- (.*) -->", line.strip()):
            notes = notes + [comment[1]]
            if comment[1] not in (NEEDS_CHAIN, NEEDS_MEDIATOR, BY_CI):
                sys.exit(f"{file}:{number}: unknown comment: {comment[1]}")
        elif line.strip():
            if notes:
                sys.exit(f"{file}:{number}: the comment {notes} stands before no block")
    if fence is not None:
        sys.exit(f"{file}:{start}: the block has no end")
    if notes:
        sys.exit(f"{file}: the comment {notes} stands before no block")
    return blocks


class Chain:
    """`paralith dev`, from its banner until `stop`."""

    def __init__(self, paralith, more):
        # Takes the documented port; if somebody listens there, any other.
        with socket.socket() as probe:
            taken = probe.connect_ex(LISTEN) == 0
        host, port = LISTEN
        listen = f"{host}:{0 if taken else port}"
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [paralith, "dev", "--json", "--listen", listen, *more],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        late = threading.Timer(READY_SECONDS, self.process.kill)
        late.start()
        banner = self.process.stdout.readline()
        late.cancel()
        if not banner:
            self.stop()
            self.log.seek(0)
            sys.exit(f"the dev chain did not start:\n{self.log.read()}")
        self.node = json.loads(banner)["node"]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def run_file(file, blocks, environment):
    """Runs a file's blocks in one session. Gives whether all succeeded."""
    script = ["set -euo pipefail"]
    for block in blocks:
        if BY_CI in block.notes:
            print(f"SKIPPED {block.name}: ci runs it itself", flush=True)
            continue
        # The text before a block tells in the output which one fails.
        script.append(f"printf '%s\\n' 'RUN {block.name}'\n{block.text}")
    session = subprocess.Popen(
        ["bash", "-c", "\n".join(script)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        status = session.wait(FILE_SECONDS)
    except subprocess.TimeoutExpired:
        status = f"not finished after {FILE_SECONDS} s"
    finally:
        # Whatever the session has left behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(session.pid, signal.SIGKILL)
        session.wait()
    print(f"{'ok' if status == 0 else 'FAILED'} {file}: {status}", flush=True)
    return status == 0


def main():
    parser = argparse.ArgumentParser(description="Runs every command of the documentation.")
    parser.add_argument("files", nargs="*", default=FILES, metavar="FILE")
    parser.add_argument("--list", action="store_true", help="print the blocks, run nothing")
    options = parser.parse_args()

    found = {file: blocks_of(file) for file in options.files}
    if options.list:
        for block in (block for blocks in found.values() for block in blocks):
            print(f"# {block.name} {block.notes or ''}\n{block.text}")
        return 0

    given = os.environ.get("PARALITH") or shutil.which("paralith")
    if not given or not Path(given).is_file():
        sys.exit("PARALITH names no program: build it (`cargo build -p paralith`) and set PARALITH")
    paralith = Path(given).resolve()
    environment = dict(os.environ)
    environment["PATH"] = f"{paralith.parent}:{environment.get('PATH', '')}"
    # README puts the build's folder into PATH: make that the folder of this very program.
    environment["CARGO_TARGET_DIR"] = str(paralith.parent.parent)

    notes = {note for blocks in found.values() for block in blocks for note in block.notes}
    more = ["--private-contracts"] if NEEDS_MEDIATOR in notes else []
    # Asked to end, it still stops what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
    with tempfile.TemporaryDirectory(prefix="paralith-doc-") as scratch:
        # Where `mktemp` puts things.
        environment["TMPDIR"] = scratch
        chain = Chain(str(paralith), more) if notes & {NEEDS_CHAIN, NEEDS_MEDIATOR} else None
        if chain:
            environment["PARALITH_NODE"] = chain.node
        try:
            done = [run_file(file, blocks, environment) for file, blocks in found.items()]
        finally:
            if chain:
                chain.stop()
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
