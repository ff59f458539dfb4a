"""Further workers help with a stage whose work is in shards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rijksnet.errors import RunError
from rijksnet.params import Params
from rijksnet.paths import CollectionPaths
from rijksnet.scheduling import engine
from rijksnet.scheduling.helpers import shards_of
from rijksnet.scheduling.output import output_of
from rijksnet.scheduling.repro import repro
from rijksnet.scheduling.resources import Resources
from rijksnet.shards import IMAGES
from small_pipeline import Small, Watched
from waiting import wait_for

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # DVC's

#: Ends once another process has done what the first word of its line says, or after ten seconds with status 3.
WAIT_FOR = "for i in $(seq 100); do [ -f {0} ] && break; sleep 0.1; done; [ -f {0} ] || exit 3\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    made = Small(tmp_path / "project", {"a": []})
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("PATH", made.environment["PATH"])
    made.edit("a", cmd="rijksnet pixels 'a'")
    catalogue_of(2 * IMAGES + 1)
    return made


def catalogue_of(images: int) -> None:
    file = CollectionPaths("a").catalogue
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": pa.nulls(images)}), file)


@pytest.fixture
def run(params: Params, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Watched]:
    def carried_out(places: int) -> Watched:
        watched = Watched()
        monkeypatch.setattr(engine, "machine", lambda: Resources(places, 0, 10_000))
        monkeypatch.setattr("rijksnet.scheduling.repro.needs_of", lambda *_: Resources(1))
        with engine.this_machine(places) as local:
            repro(params, ["a"], local, places, watched)
        return watched

    return carried_out


@pytest.mark.parametrize(("places", "helpers"), [(1, 0), (2, 1), (5, 2)])
def test_there_are_as_many_as_have_room_and_as_there_are_shards(
    project: Small, run: Callable[..., Watched], places: int, helpers: int
) -> None:
    project.does("a", "echo $3 >> seen\n" + ("" if places == 1 else "sleep 3\n"))
    assert set(run(places).outcome.ran) == {"a"}
    assert sorted(Path("seen").read_text().split()) == ["--helps"] * helpers


def test_a_helper_begins_after_the_command_and_ends_with_it(project: Small, run: Callable[..., Watched]) -> None:
    helper = "echo helper >> order; echo $$ > helper; touch helped; exec sleep 600"
    project.does("a", f'if [ "$3" = --helps ]; then {helper}; fi\necho command >> order\n{WAIT_FOR.format("helped")}')
    run(2)
    assert Path("order").read_text().split() == ["command", "helper"]
    wait_for(lambda: not Path(f"/proc/{Path('helper').read_text().strip()}").exists())
    assert project.status() == "Data and pipelines are up to date."


def test_a_helper_that_fails_is_no_failure(project: Small, run: Callable[..., Watched]) -> None:
    project.does(
        "a", f'if [ "$3" = --helps ]; then echo no room; touch helped; exit 7; fi\n{WAIT_FOR.format("helped")}'
    )
    run(2)
    output = output_of("a")
    assert "no room" in output.with_stem(f"{output.stem}-helper1").read_text()


def test_a_command_that_fails_fails_whatever_its_helpers_do(project: Small, run: Callable[..., Watched]) -> None:
    project.does(
        "a", f'if [ "$3" = --helps ]; then touch helped; exec sleep 600; fi\n{WAIT_FOR.format("helped")}exit 5\n'
    )
    with pytest.raises(RunError, match="exit status 5"):
        run(2)


@pytest.mark.parametrize(
    ("line", "shards"),
    [
        ("rijksnet pixels 'a'", 3),
        ("rijksnet features 'a' 'vgg19' --tuned-on type", 3),
        ("rijksnet features 'b' 'vgg19'", 1),
        ("rijksnet splits 'a'", 1),
        ("rijksnet report", 1),
        ("echo 'pixels'", 1),
    ],
)
@pytest.mark.usefixtures("project")
def test_which_lines_are_in_shards(line: str, shards: int) -> None:
    assert shards_of(line) == shards
