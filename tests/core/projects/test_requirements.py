"""What genvx reads of requirement files, and what it leaves to pip."""

from __future__ import annotations

import pytest

from genvx.core.projects.python import Python, PythonKind, chosen
from genvx.core.projects.requirements import Part, lines_of, of_pylock, of_pyproject
from genvx.errors import InvalidInput

TEXT = """\
\ufeff# what we need
numpy>=1   # not 2
torch==2.9 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
-r sub/base.txt
--requirement=more.txt
-cconstraints.txt
-e .
-e ./lib[fast] ; python_version > "3"
--find-links wheels
--index-url https://example.org/simple
-e git+https://example.org/x
y @ https://example.org/y.whl#sha256=aa
./packed-1.tar.gz
/opt/there/z.whl
"""


def test_only_what_names_files_of_the_project_is_read():
    assert [(line.part, line.path + line.rest or line.text) for line in lines_of(TEXT)] == [
        (Part.AS_IS, "numpy>=1"),
        (Part.AS_IS, "torch==2.9     --hash=sha256:aa     --hash=sha256:bb"),
        (Part.INCLUDE, "sub/base.txt"),
        (Part.INCLUDE, "more.txt"),
        (Part.CONSTRAINT, "constraints.txt"),
        (Part.PATH, "."),
        (Part.PATH, './lib[fast] ; python_version > "3"'),
        (Part.LINKS, "wheels"),
        (Part.AS_IS, "--index-url https://example.org/simple"),
        (Part.AS_IS, "-e git+https://example.org/x"),
        (Part.AS_IS, "y @ https://example.org/y.whl#sha256=aa"),
        (Part.PATH, "./packed-1.tar.gz"),
        (Part.AS_IS, "/opt/there/z.whl"),
    ]


def test_a_pyproject_says_its_dependencies_and_those_of_extras():
    project = {"dependencies": ["a"], "optional-dependencies": {"gpu": ["b>1"]}}
    assert of_pyproject({"project": project}, ["gpu"]) == ["a", "b>1"]
    with pytest.raises(InvalidInput, match="no extra 'cpu'; it has gpu"):
        of_pyproject({"project": project}, ["cpu"])
    with pytest.raises(InvalidInput, match="dynamic dependencies"):
        of_pyproject({"project": {"dynamic": ["dependencies"]}}, [])
    with pytest.raises(InvalidInput, match="cannot be printed"):
        of_pyproject({"project": {"dependencies": ["a\n--index-url x"]}}, [])
    with pytest.raises(InvalidInput, match=r"^pyproject\.toml: project\.dependencies is not"):
        of_pyproject({"project": {"dependencies": "a"}}, [])


def test_a_pylock_becomes_lines_with_hashes_and_its_groups_are_known():
    document = {
        "lock-version": "1.0",
        "extras": ["gpu"],
        "default-groups": ["dev"],
        "packages": [
            {
                "name": "a",
                "version": "1.0",
                "wheels": [{"url": "u", "hashes": {"sha256": "0a"}}],
                "sdist": {"url": "u", "hashes": {"sha256": "0b", "odd": "0c"}},
            },
            {"name": "b", "version": "2", "marker": "'gpu' in extras and 'dev' not in extras"},
            {"name": "c", "vcs": {"type": "git", "url": "https://h/c", "commit-id": "0d"}},
            {"name": "d", "version": "1", "marker": "'test' in dependency_groups"},
        ],
    }
    assert of_pylock(document, ["gpu"]) == [
        "a==1.0 --hash=sha256:0a --hash=sha256:0b",
        "b==2 ; python_version >= '0' and python_version >= '0'",
        "c @ git+https://h/c@0d",
        "d==1 ; python_version < '0'",
    ]
    for wrong in ({"lock-version": "2.0"}, {"lock-version": "1.0", "packages": [{"name": "-r"}]}):
        with pytest.raises(InvalidInput):
            of_pylock(wrong, [])


def test_the_value_of_the_option():
    assert chosen("auto") == "auto"
    assert chosen("conda:torch") == Python(PythonKind.CONDA, "torch", typed=True)
    assert chosen("~/venv/bin/python") == Python(PythonKind.PATH, "~/venv/bin/python", typed=True)
    for wrong in ("", "Auto", "python3.9", "conda:", "conda:-x", "/a:/b", "/a\x1b"):
        with pytest.raises(InvalidInput):
            chosen(wrong)
