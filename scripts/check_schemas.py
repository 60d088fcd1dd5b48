"""Check ingestion/schema/*.avsc: documented, and FULL_TRANSITIVE with all that main ever had.

    python scripts/check_schemas.py [--root FOLDER]

Prints one line a problem and exits with code 1 if there is any. Compares with every version of the
file in the first-parent history of main (origin/main if there is no main, HEAD if there is
neither). A shallow clone has less history, so less is compared; the last line says with what.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.schema import RecordSchema, Schema, parse

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path("ingestion/schema")
# Contracts that were replaced before any record was written with them: SHA-256 of their texts.
REPLACED = {
    "SensorReading": ("2a4b36f47e84b1c1d3ce912a329669a8f4b128c97561cfe321c8c618b61e5627",),
}
REFS = ("refs/heads/main", "refs/remotes/origin/main", "HEAD")


@dataclass(frozen=True, slots=True)
class Version:
    """A schema file as a commit left it."""

    commit: str
    text: str


@dataclass(frozen=True, slots=True)
class History:
    """What git knows. `ref` is None outside a repository, or in one without commits."""

    root: Path
    ref: str | None

    @classmethod
    def of(cls, root: Path) -> History:
        """Return the history to compare with: that of the first of REFS that exists."""
        found = (
            ref
            for ref in REFS
            if _git(root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        )
        return cls(root, next(found, None))

    def versions(self, path: Path) -> list[Version]:
        """Return every distinct text of the file, newest first; none for a new file."""
        if self.ref is None:
            return []
        commits = (
            _git(self.root, "log", "--first-parent", "--format=%h", self.ref, "--", str(path)) or ""
        ).split()
        texts: dict[str, str] = {}
        for commit in commits:
            # `./`: the path counts from `root`, also where that is a folder inside the repository.
            text = _git(self.root, "show", f"{commit}:./{path}")
            if text:  # None: the commit removed it
                texts.setdefault(text, commit)
        return [Version(commit, text) for text, commit in texts.items()]

    def __str__(self) -> str:
        if self.ref is None:
            return "nothing: no git history here"
        shallow = (_git(self.root, "rev-parse", "--is-shallow-repository") or "").strip() == "true"
        return self.ref + (" (a shallow clone: only the history it has)" if shallow else "")


def _git(root: Path, *arguments: str) -> str | None:
    answer = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
    )
    return answer.stdout if answer.returncode == 0 else None


def read(name: str, text: str) -> Schema:
    """Parse a schema. Raise ValueError with the reason if it is invalid."""
    try:
        return parse(text, validate_names=True)
    except (AvroException, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{name} is no Avro schema: {error}") from error


def undocumented(name: str, schema: Schema) -> Iterator[str]:
    """Yield what a valid schema file lacks: a record, named like the file, with docs."""
    if not isinstance(schema, RecordSchema):
        yield "is no record"
        return
    if schema.name != name:
        yield f"holds the record {schema.name}: name the file after it"
    if not (schema.doc or "").strip():
        yield "the record has no doc"
    for field in schema.fields:
        if not (field.doc or "").strip():
            yield f"the field {field.name} has no doc"


def incompatible(new: Schema, old: Schema) -> Iterator[str]:
    """Yield why some record of one schema cannot be read with the other, both ways."""
    for reader, writer, words in (
        (new, old, "cannot read its records"),
        (old, new, "its readers cannot read the new"),
    ):
        # A fresh checker: it remembers answers by the schemas' equality, which leaves out defaults.
        checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
        answer = checker.get_compatibility(reader, writer)
        if answer.compatibility != SchemaCompatibilityType.compatible:
            reasons = (
                "; ".join(sorted(str(message) for message in answer.messages)) or "incompatible"
            )
            yield f"{words}: {' '.join(reasons.split())}"


def problems(root: Path, history: History) -> Iterator[str]:
    """Yield every problem as one line."""
    paths = sorted((root / FOLDER).glob("*.avsc"))
    if not paths:
        yield f"{FOLDER}: no schemas"
    for path in paths:
        relative = path.relative_to(root)
        try:
            text = path.read_text(encoding="utf-8")
            schema = read(path.stem, text)
        except ValueError as error:  # also UnicodeDecodeError
            yield f"{relative}: {error}"
            continue
        for problem in undocumented(path.stem, schema):
            yield f"{relative}: {problem}"
        for version in history.versions(relative):
            if json_equal(text, version.text) or replaced(path.stem, version.text):
                continue
            try:
                old = read(path.stem, version.text)
            except ValueError:
                continue  # what was no schema has no records
            for problem in incompatible(schema, old):
                yield f"{relative}: {version.commit}: {problem}"


def replaced(name: str, text: str) -> bool:
    """Tell whether the text is one that no record was ever written with."""
    return hashlib.sha256(text.encode()).hexdigest() in REPLACED.get(name, ())


def json_equal(left: str, right: str) -> bool:
    """Tell whether two texts are the same JSON; False if either is not JSON."""
    try:
        return bool(json.loads(left) == json.loads(right))
    except ValueError:
        return False


def main(arguments: list[str] | None = None) -> int:
    """Check and exit with code 1 if there are problems."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="the project, if not this one")
    root = parser.parse_args(arguments).root
    history = History.of(root)
    found = list(problems(root, history))
    for problem in found:
        sys.stdout.write(f"{problem}\n")
    sys.stderr.write(f"{len(found)} problems; compared with {history}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
