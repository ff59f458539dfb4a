"""Suggestions for blank fields by networks that were really trained, on objects whose truth is known."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from blanks import BLANK, IN_SPLIT, KEY, ODD, STRANGE, trained, truth, write_museum
from rijksnet import paths
from rijksnet.collections.catalogue import SCHEMA
from rijksnet.data import labelled
from rijksnet.errors import CollectionError, RunError
from rijksnet.models.lookup import open_model
from rijksnet.params import Params
from rijksnet.paths import CHECKPOINTS, CollectionPaths
from rijksnet.protocol import TEST, VALIDATION
from rijksnet.runs.folder import RunFolder
from rijksnet.runs.predictions import read_predictions
from rijksnet.stages import train
from rijksnet.suggesting import answers, sheet
from rijksnet.suggesting.answers import answers_to
from rijksnet.suggesting.objects import read_objects
from rijksnet.suggesting.reference import UNKNOWN, own_reference
from rijksnet.suggesting.suggest import best_run, suggest
from rijksnet.suggesting.suggestion import UNLIKE, UNSURE, Suggestions
from rijksnet.suggesting.write import COLUMNS, write

pytestmark = pytest.mark.usefixtures("workspace")


@pytest.fixture
def params(content: dict[str, Any]) -> Params:
    return trained(content)


def asked(params: Params, collection: str = "source", **options: Any) -> Suggestions:
    given: dict[str, Any] = {"model": "", "asked": 0.8, "check": False}
    return suggest(params, collection, "type", **{**given, **options})


# --- what is suggested ------------------------------------------------------------------------------------------------


def test_what_is_dared_is_right_as_often_as_asked(params: Params) -> None:
    found = asked(params)
    assert len(found.objects) == BLANK + ODD
    dared = found.dared
    assert len(dared) > BLANK // 2
    assert np.mean([one.label == truth(one.object_id) for one in dared]) >= 0.8
    assert found.measured.share >= 0.8
    assert found.measured.objects < 60 + STRANGE
    assert [one.confidence for one in dared] == sorted((one.confidence for one in dared), reverse=True)
    assert all(one.confidence >= one.least for one in dared)


def test_what_so_few_objects_cannot_show_is_never_dared(params: Params) -> None:
    impossible = asked(params, asked=0.999)
    assert {one.why_not for one in impossible.objects} == {UNSURE, UNLIKE}
    assert "do not show a precision of" in " ".join(sheet.verdict(impossible))


def test_pictures_unlike_all_others_get_none(params: Params) -> None:
    found = asked(params, asked=0.6)
    odd = {f"source-{i:03}" for i in range(IN_SPLIT + BLANK, IN_SPLIT + BLANK + ODD)}
    assert {one.object_id for one in found.objects if one.why_not == UNLIKE} == odd
    assert found.drift.unlike == pytest.approx(ODD / (BLANK + ODD))
    assert "Take care: 13.0\N{NO-BREAK SPACE}% of these pictures are unlike" in " ".join(sheet.verdict(found))


def test_neighbours_are_other_objects_of_which_something_is_said(params: Params) -> None:
    for one in asked(params).objects[:BLANK]:
        assert len({its.object_id for its in one.neighbours}) == 3
        assert all(its.object_id != one.object_id and its.label for its in one.neighbours)
        similarities = [its.similarity for its in one.neighbours]
        assert similarities == sorted(similarities, reverse=True)


def test_where_it_looked_is_said_of_the_first(params: Params) -> None:
    found = asked(params, looked=5)
    assert list(found.maps) == [one.object_id for one in found.objects[:5]]
    assert all(its.shape == (32, 32) and 0 <= its.min() <= its.max() <= 1 for its in found.maps.values())


# --- what it rests on -------------------------------------------------------------------------------------------------


def test_the_reference_holds_nothing_that_the_network_learnt_from(params: Params) -> None:
    at = CollectionPaths("source")
    objects = read_objects(at, "type")
    with open_model(params, str(KEY)) as model:
        reference = own_reference(model, at, objects, answers_to(params, model, at))
    data = labelled.load(at.split("type"), at.images)
    ids = {objects.ids[i] for i in reference.positions}
    assert not ids & set(data["train"].object_ids)
    assert {*data[VALIDATION].object_ids, *data[TEST].object_ids} <= ids
    setting = {objects.ids[i] for i in reference.positions[reference.setting]}
    assert not setting & set(data[TEST].object_ids)
    strangers = {objects.ids[i] for i in reference.positions[reference.labels == UNKNOWN]}
    assert strangers <= {f"source-{i:03}" for i in range(IN_SPLIT + BLANK + ODD, IN_SPLIT + BLANK + ODD + STRANGE)}
    assert 0 < len(strangers) < STRANGE  # as many as there would be by chance


def test_of_several_folds_every_object_sets_the_rule_and_measures_the_others(content: dict[str, Any]) -> None:
    params = trained(content, folds=5)
    found = asked(params, check=True)
    assert found.reference == found.measured.objects == IN_SPLIT + STRANGE
    assert (found.strangers, found.unchecked) == (STRANGE, STRANGE)
    assert found.checked is not None
    assert found.checked.answered == IN_SPLIT
    assert found.measured.share >= 0.8


def test_another_split_than_it_was_trained_on_is_refused(params: Params) -> None:
    file = CollectionPaths("source").split("type")
    pq.write_table(pq.read_table(file).slice(1), file)
    with pytest.raises(RunError, match=r"was trained on another split than .*type\.parquet, so that nothing says"):
        asked(params)


def test_another_collection_is_measured_on_its_own_labels(params: Params) -> None:
    found = asked(params, "target")
    assert (found.run, found.reference) == (str(KEY), IN_SPLIT + STRANGE)
    assert found.drift.promised is not None
    assert found.drift.promised.objects == IN_SPLIT + STRANGE
    assert "By the rule that was set where the network was trained" in " ".join(sheet.verdict(found))


def test_labels_that_people_decided_on_show_nothing(params: Params) -> None:
    """They are of objects that a network found easy."""
    before = asked(params)
    file = CollectionPaths("source").decided("type")
    file.parent.mkdir(parents=True)
    data = labelled.load(CollectionPaths("source").split("type"), CollectionPaths("source").images)
    decided = data[VALIDATION].object_ids[:20]
    file.write_text("object_id,label\n" + "".join(f"{one},{truth(one)}\n" for one in decided))
    assert asked(params).reference == before.reference - 20


def test_weights_that_learnt_from_a_collection_before_are_not_measured_on_it(params: Params) -> None:
    tuned = paths.tuned_weights("target", "type", "test_resnet")
    tuned.parent.mkdir(parents=True)
    tuned.write_bytes(paths.imagenet_weights("test_resnet").read_bytes())
    key = replace(KEY, strategy="fine_tuning", initialisation="target")
    train.network(params, key)
    with pytest.raises(RunError, match=r"learnt from objects of target before \(target\), and nothing says which"):
        asked(params, "target", model=str(key))


def test_where_nothing_is_labelled_nothing_is_dared(params: Params) -> None:
    at = CollectionPaths("target")
    catalogue = pq.read_table(at.catalogue)
    blank = pa.array([[]] * catalogue.num_rows, pa.list_(pa.string()))
    pq.write_table(catalogue.set_column(SCHEMA.get_field_index("type"), "type", blank), at.catalogue)
    found = asked(params, "target")
    assert (found.dared, found.reference) == ([], 0)
    assert "No labelled object here shows how often the network is right" in " ".join(sheet.verdict(found))
    assert all(one.neighbours == () for one in found.objects)


def test_its_answers_are_those_of_its_evaluation_to_the_bit(params: Params) -> None:
    at = CollectionPaths("source")
    with open_model(params, str(KEY)) as model:
        said = answers_to(params, model, at)
    row = {image: i for i, image in enumerate(labelled.read_images(at.images)["image"].to_pylist())}
    for split in (VALIDATION, TEST):
        evaluated = read_predictions(RunFolder.of(KEY).predictions, split)
        rows = [row[image] for image in evaluated.images]
        np.testing.assert_array_equal(said.probabilities[rows], evaluated.probabilities)


def test_what_was_computed_is_not_computed_again(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    at, asked_for = CollectionPaths("source"), list[int]()
    with open_model(params, str(KEY)) as model:
        whole = answers_to(params, model, at)
        for kept in (CHECKPOINTS / "suggestions").glob("*/*.npz"):
            kept.unlink()
        monkeypatch.setattr(answers, "SHARD", 64)
        ask = answers._answers

        def watched(network: Any, pixels: Any, computed: Any) -> Any:
            asked_for.append(len(pixels))
            if len(asked_for) == 4:
                raise KeyboardInterrupt
            return ask(network, pixels, computed)

        monkeypatch.setattr(answers, "_answers", watched)
        with pytest.raises(KeyboardInterrupt):
            answers_to(params, model, at)
        again = answers_to(params, model, at)
    assert asked_for == [64, 64, 64, 64, 64, 64, IN_SPLIT + BLANK + ODD + STRANGE - 5 * 64]
    np.testing.assert_allclose(again.probabilities, whole.probabilities, rtol=1e-4)


# --- labels in doubt --------------------------------------------------------------------------------------------------


def test_labels_that_were_swapped_are_doubted_first(content: dict[str, Any]) -> None:
    swapped = list(range(0, IN_SPLIT, 30))
    found = asked(trained(content, swapped, folds=5), check=True)
    first = [one.object_id for one in found.doubts[: 5 * len(swapped)]]
    at = CollectionPaths("source")
    pixels = np.load(at.pixels_of_size(32))[swapped].mean((1, 2)).argmax(1)
    seen = [f"source-{i:03}" for i, shown in zip(swapped, pixels, strict=True) if shown == i % 3]
    assert len(set(first) & set(seen)) >= 0.8 * len(seen)
    its = {one.object_id: one for one in found.doubts}
    assert all(its[one].instead == truth(one) != its[one].label for one in set(first) & set(seen))


# --- which network is asked -------------------------------------------------------------------------------------------


def test_the_best_on_its_validation_split_is_asked(params: Params) -> None:
    worse = replace(KEY, strategy="fine_tuning")
    train.network(params, worse)
    scores = {key: json.loads(RunFolder.of(key).metrics.read_text())["validation"]["accuracy"] for key in (KEY, worse)}
    assert best_run(params, "source", "type") == str(min(scores, key=lambda key: (-scores[key], str(key))))
    assert best_run(params, "target", "type") == best_run(params, "source", "type")
    assert asked(params, model=str(worse)).model == str(worse)
    with pytest.raises(RunError, match="no run of source or source has a network for artist"):
        best_run(params, "source", "artist")


def test_nothing_blank_another_challenge_and_other_squares_are_refused(params: Params) -> None:
    at = CollectionPaths("photographs")
    write_museum("photographs")
    for file in (at.catalogue, at.images):
        pq.write_table(pq.read_table(file).slice(0, IN_SPLIT), file)
    with pytest.raises(
        CollectionError, match=r"all 300 objects of photographs have a label for type: nothing is blank"
    ):
        asked(params, "photographs", model=str(KEY))
    with pytest.raises(RunError, match="was trained for type, not for material"):
        suggest(params, "source", "material", str(KEY), 0.9, True)
    padded = params.model_copy(update={"squares": "padded"})
    with pytest.raises(RunError, match="was trained on stretched squares, and source is packed as 'padded'"):
        asked(padded)


# --- files ------------------------------------------------------------------------------------------------------------


def test_files_say_the_same_of_every_object(params: Params, tmp_path: Path) -> None:
    found = asked(params, check=True, looked=3)
    write(found, tmp_path / "out", "2026-11-27T12:00:00+00:00")
    with (tmp_path / "out/type.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["object_id"] for row in rows] == [one.object_id for one in found.objects]
    assert {row["object_id"] for row in rows} == {f"source-{i:03}" for i in range(IN_SPLIT, IN_SPLIT + BLANK + ODD)}
    assert Counter(bool(row["suggestion"]) for row in rows)[True] == len(found.dared)
    assert {row["weights"] for row in rows} == {found.weights}
    lines = [json.loads(line) for line in (tmp_path / "out/type.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(one["object_id"], one["suggestion"] or "") for one in lines] == [
        (row["object_id"], row["suggestion"]) for row in rows
    ]
    said = json.loads((tmp_path / "out/type.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert (said["blank"], said["suggested"], said["doubts"]) == (BLANK + ODD, len(found.dared), len(found.doubts))
    page = sheet.write_sheet(found, tmp_path / "out").read_text(encoding="utf-8")
    assert len(re.findall('<article class="card"', page)) == len(found.objects) + min(len(found.doubts), sheet.DOUBTED)
    assert page.count('alt="Where the network looked"') == 3
    assert not re.search(r'<script|src="(?!data:)|href="(?!#)', page)
    write(replace(found, checked=None, doubts=()), tmp_path / "out", "2026-11-27T12:00:00+00:00")
    assert not (tmp_path / "out/type-doubts.csv").exists()
