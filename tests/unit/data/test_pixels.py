from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rijksnet.collections.catalogue import build
from rijksnet.collections.records import Record
from rijksnet.data import pixels
from rijksnet.data.decode import decode
from rijksnet.data.labelled import open_pixels, read_images
from rijksnet.data.packing import MAX_BYTES, Job, Target, pack_batch
from rijksnet.data.pixels import BATCH, pack
from rijksnet.errors import CollectionError
from rijksnet.paths import CollectionPaths
from tests.unit.data.conftest import jpeg
