"""Data sets for training and evaluation."""

from qvl.data.dataset import DenseDataset, SampleContext, Turn
from qvl.data.demo import DemoScenes
from qvl.data.form import TurnFormat
from qvl.data.ledger import Ledger
from qvl.data.preflight import check_all
from qvl.data.preprocess import BasePreprocessor, KeepAll

__all__ = [
    "BasePreprocessor",
    "DemoScenes",
    "DenseDataset",
    "KeepAll",
    "Ledger",
    "SampleContext",
    "Turn",
    "TurnFormat",
    "check_all",
]
