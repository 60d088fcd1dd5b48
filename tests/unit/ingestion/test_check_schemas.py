"""The schema check against git repositories made for it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import check_schemas

ID = {"name": "id", "type": "string", "doc": "Which."}


class Repository:
    """A git repository with one schema, Thing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        identity = [
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "-c",
            "commit.gpgsign=false",
        ]
        command = ["git", "-C", str(self.root), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def write(self, fields: list[dict[str, Any]], name: str = "Thing", **record: Any) -> None:
        path = self.root / check_schemas.FOLDER / f"{name}.avsc"
        path.parent.mkdir(parents=True, exist_ok=True)
        schema = {"type": "record", "name": name, "doc": "A thing.", "fields": fields, **record}
        path.write_text(json.dumps(schema), encoding="utf-8")

    def commit(self, fields: list[dict[str, Any]]) -> str:
        self.write(fields)
        self.git("add", ".")
        self.git("commit", "-q", "--allow-empty", "-m", "schemas")
        return self.git("rev-parse", "--short", "HEAD").strip()

    def problems(self) -> list[str]:
        return list(check_schemas.problems(self.root, check_schemas.History.of(self.root)))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_new_schema_in_repository_without_commits(repository: Repository) -> None:
    repository.write([ID])
    assert repository.problems() == []


def test_new_schema_beside_committed_ones(repository: Repository) -> None:
    repository.commit([ID])
    repository.write([ID], name="Other")
    assert repository.problems() == []


def test_field_with_default_may_come_and_go(repository: Repository) -> None:
    extra = {"name": "note", "type": ["null", "string"], "default": None, "doc": "Said."}
    repository.commit([ID])
    repository.commit([ID, extra])
    assert repository.problems() == []
    repository.write([ID])
    assert repository.problems() == []


def test_field_without_default_cannot_read_older_records(repository: Repository) -> None:
    commit = repository.commit([ID])
    repository.write([ID, {"name": "size", "type": "long", "doc": "How big."}])
    (problem,) = repository.problems()
    assert problem.startswith(f"ingestion/schema/Thing.avsc: {commit}: cannot read its records")
    assert "size" in problem


def test_removed_field_without_default_breaks_older_readers(repository: Repository) -> None:
    repository.commit([ID, {"name": "size", "type": "long", "doc": "How big."}])
    repository.write([ID])
    (problem,) = repository.problems()
    assert "its readers cannot read the new" in problem


def test_every_version_counts_not_only_the_last(repository: Repository) -> None:
    size = {"name": "size", "type": "long", "doc": "How big."}
    first = repository.commit(
        [ID, {"name": "note", "type": ["null", "string"], "default": None, "doc": "Said."}]
    )
    repository.commit([ID])
    # Compatible with the version before, which has no note; not with the first, which has a string.
    repository.write(
        [ID, {"name": "note", "type": ["null", "long"], "default": None, "doc": "Said."}]
    )
    assert {problem.split(": ")[1] for problem in repository.problems()} == {first}
    repository.write([ID, size])
    assert len(repository.problems()) == 2


def test_widened_type_is_compatible_one_way_only(repository: Repository) -> None:
    repository.commit([{"name": "n", "type": "int", "doc": "N."}])
    repository.write([{"name": "n", "type": "long", "doc": "N."}])
    (problem,) = repository.problems()
    assert "its readers cannot read the new" in problem


def test_versions_of_a_branch_do_not_count_until_merged(repository: Repository) -> None:
    repository.commit([ID])
    repository.git("switch", "-q", "-c", "work")
    repository.commit([ID, {"name": "size", "type": "long", "doc": "How big."}])
    repository.commit([ID])
    repository.git("switch", "-q", "main")
    repository.git("merge", "-q", "--no-ff", "-m", "merge", "work")
    assert repository.problems() == []


def test_change_on_a_branch_is_compared_with_main(repository: Repository) -> None:
    repository.commit([ID])
    repository.git("switch", "-q", "-c", "work")
    repository.commit([ID, {"name": "size", "type": "long", "doc": "How big."}])
    assert len(repository.problems()) == 1


def test_shallow_clone_compares_with_what_it_has(repository: Repository, tmp_path: Path) -> None:
    repository.commit([ID, {"name": "size", "type": "long", "doc": "How big."}])
    repository.commit([ID])
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--depth", "1", repository.root.as_uri(), str(clone))
    history = check_schemas.History.of(clone)
    assert list(check_schemas.problems(clone, history)) == []
    assert "shallow" in str(history)


def test_detached_clone_without_main_uses_head(repository: Repository) -> None:
    repository.commit([ID])
    repository.git("checkout", "-q", "--detach")
    repository.git("branch", "-q", "-D", "main")
    history = check_schemas.History.of(repository.root)
    assert history.ref == "HEAD"
    repository.write([{**ID, "type": "long"}])
    assert len(repository.problems()) == 2


def test_docs_are_asked_of_record_and_fields(repository: Repository) -> None:
    repository.write([{"name": "id", "type": "string"}], doc=" ")
    assert repository.problems() == [
        "ingestion/schema/Thing.avsc: the record has no doc",
        "ingestion/schema/Thing.avsc: the field id has no doc",
    ]


def test_name_follows_the_file(repository: Repository) -> None:
    repository.write([ID])
    folder = repository.root / check_schemas.FOLDER
    (folder / "Thing.avsc").rename(folder / "Other.avsc")
    assert repository.problems() == [
        "ingestion/schema/Other.avsc: holds the record Thing: name the file after it"
    ]


@pytest.mark.parametrize("text", ["{", '{"type": "record"}', '{"type": "nonsense"}', "\xff"])
def test_what_does_not_parse_is_one_line(repository: Repository, text: str) -> None:
    repository.write([ID])
    (repository.root / check_schemas.FOLDER / "Thing.avsc").write_text(text, encoding="latin-1")
    (problem,) = repository.problems()
    assert problem.startswith("ingestion/schema/Thing.avsc: ")
    assert "\n" not in problem


def test_exit_codes(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    repository.commit([ID])
    assert check_schemas.main(["--root", str(repository.root)]) == 0
    repository.write([{**ID, "type": "long"}])
    assert check_schemas.main(["--root", str(repository.root)]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.slow
def test_the_project_itself_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_schemas.main([]) == 0, capsys.readouterr().out


def test_a_contract_that_no_record_was_written_with_may_be_replaced(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit([ID])
    path = repository.root / check_schemas.FOLDER / "Thing.avsc"
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    repository.commit([{**ID, "name": "name"}])
    assert len(repository.problems()) == 2

    monkeypatch.setattr(check_schemas, "REPLACED", {"Thing": (old,)})
    assert repository.problems() == []
    repository.write([{**ID, "name": "third"}])
    assert len(repository.problems()) == 2, "the one after it counts"
