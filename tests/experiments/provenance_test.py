"""The commit of a package in a checkout, with changes, and below somebody else's repository."""

import subprocess

import pytest

import sen_tf
from sen_tf.experiments import provenance


def git(folder, *words):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def package(tmp_path):
    """A package that a repository holds."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "a message")
    return folder


def test_the_commit_of_a_checkout(package):
    head = git(package, "rev-parse", "HEAD")
    assert provenance.commit(package) == head
    git(package, "tag", "v1")  # not a tag's name, which can move
    (package / "__init__.py").write_text("changed = True")
    assert provenance.commit(package) == f"{head}-dirty"


def test_a_package_that_git_does_not_know_has_no_commit(package, tmp_path, monkeypatch):
    installed = package / "site-packages" / "other"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert provenance.commit(installed) is None
    monkeypatch.setenv("PATH", str(tmp_path))  # no git
    assert provenance.commit(package) is None


def test_what_runs_now_is_described():
    described = provenance.describe()
    assert set(described) == {"date", "machine", "versions", "commit"}
    assert described["versions"]["sen_tf"] == sen_tf.__version__ and described["machine"]
