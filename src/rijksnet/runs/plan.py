"""Which runs there are: those that params.yaml asks for, by their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.runs.key import COMMON_CLASSES, RunKey

if TYPE_CHECKING:
    from rijksnet.params import Params, Strategy


def source_keys(params: Params) -> list[RunKey]:
    """The runs that `params` asks for on the source: off the shelf, fine tuning and from scratch."""
    source, seed = params.source, params.training.seed
    keys = []
    for challenge in source.challenges:
        for architecture in params.architectures:
            keys.append(RunKey(source.collection, challenge, architecture, "off_the_shelf", "imagenet", seed))
            keys.append(RunKey(source.collection, challenge, architecture, "fine_tuning", "imagenet", seed))
        if challenge in params.scratch.challenges:
            architecture = params.scratch.architecture
            keys.append(RunKey(source.collection, challenge, architecture, "scratch", "random", seed))
    return keys


def target_keys(params: Params) -> list[RunKey]:
    """The runs that `params` asks for on the target: off the shelf and fine tuning, each from θ and from θ̂."""
    target, seed = params.target, params.training.seed
    return [
        RunKey(target.collection, challenge, architecture, strategy, initialisation, seed)
        for challenge in target.challenges
        for architecture in target.architectures
        for strategy in ("off_the_shelf", "fine_tuning")
        for initialisation in ("imagenet", params.source.collection)
    ]


def seed_keys(params: Params) -> list[RunKey]:
    """The runs that `params` asks to repeat, with each further seed."""
    seeds, keys = params.seeds, []
    strategies: tuple[Strategy, ...] = ("off_the_shelf", "fine_tuning")
    for architecture in seeds.architectures:
        for strategy in strategies:
            for seed in seeds.further:
                for challenge in seeds.source_challenges:
                    keys.append(RunKey(params.source.collection, challenge, architecture, strategy, "imagenet", seed))
                for challenge in seeds.target_challenges:
                    of = (params.target.collection, challenge, architecture, strategy)
                    keys += [RunKey(*of, "imagenet", seed), RunKey(*of, params.source.collection, seed)]
    return keys


def classifier_keys(params: Params) -> list[RunKey]:
    """Support vector machine and random forest on the source's features (footnote 7)."""
    return [
        RunKey(params.source.collection, challenge, architecture, strategy, "imagenet", params.training.seed)
        for challenge in params.side_experiments.challenges
        for architecture in params.side_experiments.architectures
        for strategy in ("svm", "random_forest")
    ]


def multi_task_keys(params: Params) -> list[RunKey]:
    """One network for all three challenges, and three single ones trained on the same images."""
    return [
        RunKey(params.source.collection, challenge, architecture, strategy, "imagenet", params.training.seed)
        for architecture in params.side_experiments.multi_task
        for challenge in params.source.challenges
        for strategy in ("multi_task", "single_task")
    ]


def common_classes_keys(params: Params) -> list[RunKey]:
    """The target's runs on only the classes that the source has too."""
    return [
        RunKey(
            params.target.collection, challenge + COMMON_CLASSES, architecture, strategy, start, params.training.seed
        )
        for challenge in params.side_experiments.common_classes
        for architecture in params.side_experiments.architectures
        for strategy in ("off_the_shelf", "fine_tuning")
        for start in ("imagenet", params.source.collection)
    ]


def all_keys(params: Params) -> list[RunKey]:
    """Every run that `params` asks for, those of the paper's tables first."""
    main = [*source_keys(params), *target_keys(params)]
    return [*main, *seed_keys(params), *classifier_keys(params), *multi_task_keys(params), *common_classes_keys(params)]
