"""The network in service: loaded with all that its advice rests on, asked in batches, exchanged while it is asked."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from rijksnet.data.decode import decode
from rijksnet.data.splits import COLUMN_OF
from rijksnet.errors import RijksNetError, RunError, TrackingError
from rijksnet.models.lookup import open_model
from rijksnet.paths import CollectionPaths
from rijksnet.saliency.attributions import by_grad_cam
from rijksnet.serving.classifier import Classifier, settled
from rijksnet.suggesting.adviser import advise
from rijksnet.suggesting.answers import answer, answers_to
from rijksnet.suggesting.likeness import learnt
from rijksnet.suggesting.neighbours import LabelledNeighbours
from rijksnet.suggesting.objects import read_objects
from rijksnet.suggesting.reference import elsewhere, own_reference
from rijksnet.suggesting.rule import set_rule
from rijksnet.training import compute
from rijksnet.training.batches import evaluation_batch_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rijksnet.networks.architectures import Network
    from rijksnet.networks.fusion import Fused
    from rijksnet.params import Params
    from rijksnet.runs.folder import Run
    from rijksnet.suggesting.likeness import Learnt
    from rijksnet.suggesting.rule import Rule
    from rijksnet.suggesting.suggestion import Advice
    from rijksnet.training.compute import Compute

#: Pictures that a network is given at once, at most: who came first is not to wait for many others.
BATCH = 32

#: Classes that an answer names.
RANKED = 10


@dataclass(frozen=True, eq=False)
class Adviser:
    """One network, ready to advise: it never changes."""

    name: str  #: a run's key, or NAME/VERSION
    run: Run
    weights: str  #: sha256
    asked: float  #: precision
    rule: Rule
    known: Learnt | str
    neighbours: LabelledNeighbours | None  #: None: its collection is not here
    network: Network
    computed: Compute

    def pixels(self, image: bytes) -> NDArray[np.uint8]:
        """An encoded picture as the network reads it, uint8 (H, W, 3).

        Raises:
            rijksnet.data.decode.UnreadableError: it is none.
        """
        size = self.run.inputs["input_size"]
        stretched, padded = ([size], []) if self.run.inputs["squares"] == "stretched" else ([], [size])
        return decode(image, stretched, padded)[0]

    @cached_property
    def in_use(self) -> Network | Fused:
        return cast("Network | Fused", compute.in_use(self.network, self.computed))

    @property
    def at_once(self) -> int:
        """Pictures that the network is given at once, at most."""
        return min(BATCH, evaluation_batch_size((*[self.run.inputs["input_size"]] * 2, 3), self.computed))

    def advise(self, pixels: NDArray[np.uint8]) -> list[Advice]:
        """Advice on pictures, uint8 (n, H, W, 3), computed as the network's evaluation was."""
        n, exact = len(pixels), self.computed.dtype == torch.float32
        asked = torch.from_numpy(settled(pixels) if exact else pixels).to(self.computed.device)
        with compute.threads_for(self.network, self.computed):
            answers = answer(self.in_use, asked, self.computed)
        probabilities, features = answers.probabilities[:n], answers.features[:n]
        similarity = None if isinstance(self.known, str) else self.known.similarity(features)
        near = self.neighbours.to(features) if self.neighbours else [()] * n
        return advise(self.rule, self.known, probabilities, similarity, near, RANKED)

    def looked(self, pixels: NDArray[np.uint8], label: str) -> NDArray[np.float32]:
        """What of a picture (H, W, 3) speaks for a class: (H, W) in [0, 1] (Grad-CAM)."""
        asked = torch.from_numpy(pixels[None].copy()).to(self.computed.device)
        number = torch.tensor([self.rule.classes.index(label)], device=asked.device)
        found: NDArray[np.float32] = by_grad_cam(self.network, self.network.normalised(asked), number)[0].cpu().numpy()
        return found


def load_adviser(params: Params, what: str, asked: float) -> Adviser:
    """A network with all that its advice rests on.

    Where its own collection is here, that is what `rijksnet suggest` rests on; elsewhere the rule is set on what its
    run was validated on, and neither neighbours nor likeness are known.

    Raises:
        RunError, TrackingError, WeightsError: there is no such model.
    """
    with open_model(params, what) as model:
        key, classes = model.run.key, tuple(model.run.classes)
        if key.challenge not in COLUMN_OF:
            raise RunError(
                f"{model.name} answers {key.challenge}, not one of {list(COLUMN_OF)}: name another run or model"
            )
        computed = compute.choose(params.training)
        network = Classifier(model.weights, **model.run.inputs).network.to(computed.device)
        at = CollectionPaths(key.collection)
        neighbours = None
        known: Learnt | str = f"its collection {key.collection} is not here"
        reference = None
        if key.collection in params.collections and at.images.is_file():
            try:
                objects, answers = read_objects(at, key.challenge), answers_to(params, model, at)
                reference = own_reference(model, at, objects, answers)
                known, neighbours = learnt(params, model, at, answers), LabelledNeighbours(objects, answers)
            except RijksNetError as error:  # it is another one's than it was trained on
                known = str(error)
        if reference is None:
            reference = elsewhere(model)
        rule = set_rule(reference, reference.setting, classes, asked)
        return Adviser(model.name, model.run, model.identity, asked, rule, known, neighbours, network, computed)


class Desk:
    """Takes pictures as they come, and has the network look at all that wait whenever it is free.

    One thread computes: while it does, further pictures gather, and go together. One client waits for nobody.
    """

    def __init__(self, adviser: Adviser) -> None:
        self.adviser = adviser  #: for whoever comes next; exchanged as a whole
        self.batches: deque[int] = deque(maxlen=1000)  #: sizes of the last ones
        self._waiting: deque[tuple[Adviser, NDArray[np.uint8], asyncio.Future[Advice]]] = deque()
        self._thread = ThreadPoolExecutor(1, "network")
        self._busy = False

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def ask(self, adviser: Adviser, pixels: NDArray[np.uint8]) -> Advice:
        """Advice on one picture (H, W, 3).

        Args:
            adviser: the one whose `pixels` they are; it may have been exchanged since.
        """
        answer: asyncio.Future[Advice] = asyncio.get_running_loop().create_future()
        self._waiting.append((adviser, pixels, answer))
        if not self._busy:
            self._busy = True
            self._work = asyncio.ensure_future(self._serve())
        return await answer

    async def look(self, adviser: Adviser, pixels: NDArray[np.uint8], label: str) -> NDArray[np.float32]:
        """Where the network looked, between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, adviser.looked, pixels, label)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                part = self._next()
                if not part:
                    continue
                adviser, pixels = part[0][0], np.stack([one for _, one, _ in part])
                self.batches.append(len(part))
                try:
                    found: Sequence[Advice] = await loop.run_in_executor(self._thread, adviser.advise, pixels)
                except Exception as error:
                    for _, _, answer in part:
                        if not answer.done():
                            answer.set_exception(error)
                    continue
                for (_, _, answer), advice in zip(part, found, strict=True):
                    if not answer.done():  # who asked may be gone
                        answer.set_result(advice)
        finally:
            self._busy = False

    def _next(self) -> list[tuple[Adviser, NDArray[np.uint8], asyncio.Future[Advice]]]:
        """What goes together: of one network, in the order that they came, of those who are still there."""
        part: list[tuple[Adviser, NDArray[np.uint8], asyncio.Future[Advice]]] = []
        while self._waiting:
            if part and (self._waiting[0][0] is not part[0][0] or len(part) == part[0][0].at_once):
                break
            one = self._waiting.popleft()
            if not one[2].done():
                part.append(one)
        return part

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


class Follower:
    """Looks now and then which version is meant, and exchanges the desk's network once another is loaded."""

    def __init__(self, desk: Desk, params: Params, what: str, every_s: float) -> None:
        self._desk, self._params, self._what, self._every = desk, params, what, every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)
        self.said = ""  #: why it could not look; empty: it could
        self.exchanges = 0

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _follow(self) -> None:
        while not self._over.wait(self._every):
            try:
                self.look()
                self.said = ""
            except Exception as error:  # whatever it is, what serves goes on, and it is looked again
                self.said = str(error) if isinstance(error, RijksNetError) else f"{type(error).__name__}: {error}"

    def look(self) -> None:
        """Exchange the network, if another version is meant now.

        Raises:
            TrackingError: the registry does not say, or of the other version it is not known what it learnt from, while
            it is of the one that serves: its collection may just be made anew.
        """
        from rijksnet.tracking import registry, stores

        store = stores.open_store(self._params.tracking)
        with ExitStack() as stack:
            stack.enter_context(store.answering(f"looking for {self._what}"))
            version = registry.find(store, registry.Reference.parse(self._what))
        if version is None or f"{version.name}/{version.version}" == self._desk.adviser.name:
            return
        before = self._desk.adviser
        adviser = load_adviser(self._params, f"{version.name}/{version.version}", before.asked)
        if isinstance(adviser.known, str) and not isinstance(before.known, str):
            raise TrackingError(f"{adviser.name} is the champion, and {before.name} goes on serving: {adviser.known}")
        self._desk.adviser = adviser
        self.exchanges += 1
