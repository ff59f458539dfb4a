"""dvc.lock written a stage at a time is what DVC writes, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dvc import dvcfile
from dvc.utils.serialize import modify_yaml
from hypothesis import given
from hypothesis import strategies as st

from rijksnet.scheduling import lockfile
from rijksnet.scheduling.lockfile import with_stages, written_by_stage

LOCAL = SimpleNamespace(open=open, exists=lambda path: Path(path).exists())

#: What ruamel reads back as it wrote it, which is not so of all there is in Unicode.
texts = st.text(
    st.characters(max_codepoint=0x17F, exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=30
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(1e-3, 1e3), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
entries = st.fixed_dictionaries(
    {
        "cmd": st.one_of(texts, st.just("rijksnet fine_tuning 'a' 'b' " + "a word " * 40)),
        "deps": st.lists(st.fixed_dictionaries({"path": texts, "md5": texts, "size": st.integers(0)}), max_size=2),
        "params": st.fixed_dictionaries({"params.yaml": st.dictionaries(texts, values, max_size=3)}),
    }
)
names = st.one_of(
    st.from_regex(r"[a-z_]{1,8}(@[a-z0-9_.-]{1,9})?", fullmatch=True), st.sampled_from(["1", "on", "1e3", "né"])
)


def dvc_s_own(file: Path, stages: Mapping[str, Any]) -> str:
    with modify_yaml(str(file), fs=LOCAL) as data:
        if not data:
            data.update({"schema": "2.0"})
        data["stages"] = data.get("stages", {})
        data["stages"].update(stages)
    return file.read_text(encoding="utf-8")


@given(st.lists(st.tuples(names, entries), min_size=1, max_size=6))
def test_the_bytes_are_dvc_s(tmp_path_factory: pytest.TempPathFactory, ended: list[tuple[str, Any]]) -> None:
    file = tmp_path_factory.mktemp("lock") / "dvc.lock"
    text = ""
    for name, data in ended:
        before = text
        text = dvc_s_own(file, {name: data})
        if lockfile._blocks(before or lockfile.BEGINNING) is not None:
            assert with_stages(before, {name: data}) == text


@pytest.mark.parametrize(
    "text",
    [
        "schema: '2.0'\nstages: {}\n",
        "<<<<<<< HEAD\nschema: '2.0'\nstages:\n  a:\n    cmd: b\n",
        "schema: '2.0'\nstages:\n  a:\n    cmd: b\n=======\n  b:\n    cmd: b\n",
        "schema: '2.0'\nstages:\n  'on':\n    cmd: b\n",
        "schema: '2.0'\nstages:\n  ? a\n  : cmd: b\n",
        "schema: '2.0'\nstages:\n  a: {cmd: b}\n",
        "schema: '2.0'\nstages:\n  a:\n    cmd: b\n\n  b:\n    cmd: b\n",
        "schema: '2.0'\nstages:\n  # mine\n  a:\n    cmd: b\n",
        "schema: '2.0'\nstages:\n  a:\n    cmd: b\n  a:\n    cmd: c\n",
        "schema: '2.0'\nold_stages:\n  a:\n    cmd: b\n",
    ],
)
def test_what_dvc_would_not_write_is_left_to_dvc(text: str) -> None:
    assert lockfile._blocks(text) is None


def test_what_stands_beside_the_stages_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "dvc.lock"
    file.write_text(
        "schema: '2.0'\nstages:\n  a:\n    cmd: one\n  b:\n    cmd: two\ndatasets:\n- name: c\n  url: d\n",
        encoding="utf-8",
    )
    own = tmp_path / "own"
    own.write_bytes(file.read_bytes())
    expected = dvc_s_own(own, {"a": {"cmd": "three"}})
    with written_by_stage(), dvcfile.modify_yaml(str(file), fs=LOCAL) as data:
        data["stages"].update({"a": {"cmd": "three"}})
    assert file.read_text(encoding="utf-8") == expected
    assert dvcfile.modify_yaml is modify_yaml


def test_other_files_are_written_by_dvc(tmp_path: Path) -> None:
    file = tmp_path / "dvc.yaml"
    file.write_text("# mine\nstages:\n  a:\n    cmd: one  # of two\n", encoding="utf-8")
    with written_by_stage(), dvcfile.modify_yaml(str(file), fs=LOCAL) as data:
        data["stages"]["a"]["deps"] = ["b"]
    assert file.read_text(encoding="utf-8") == "# mine\nstages:\n  a:\n    cmd: one  # of two\n    deps:\n    - b\n"
