"""Errors that a person can act on: each message gives the value, the options and the fix."""

from __future__ import annotations


class RijksNetError(Exception):
    """Base of every error that the command line prints without a traceback."""


class ParamsError(RijksNetError):
    """params.yaml holds an unknown key, an impossible value or two values that contradict each other."""


class CollectionError(RijksNetError):
    """A collection cannot be read: no usable image, a missing column, contradicting records."""


class HarvestError(RijksNetError):
    """A museum's server cannot be asked, refuses, or answers what cannot be understood."""


class SplitError(RijksNetError):
    """A challenge cannot be split: no label, or no class that occurs in all three splits."""


class WeightsError(RijksNetError):
    """A weights file is absent, damaged, or does not fit the network."""


class TrainingError(RijksNetError):
    """Training cannot go on, for example because the loss is no longer finite."""


class RunError(RijksNetError):
    """A run's folder is incomplete or does not say what its reader needs."""


class TrackingError(RijksNetError):
    """The tracking server or the registry cannot be reached, or refuses what is asked."""


class ExplorationError(RijksNetError):
    """A study cannot be made or joined, or says nothing yet of what is asked."""


class ReviewError(RijksNetError):
    """Suggestions cannot be reviewed, or a decision about them cannot be kept."""
