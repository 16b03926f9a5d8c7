"""Data sets for training and evaluation."""

from qvl.data.add_summary import AddSummary
from qvl.data.contract import (
    CONTRACT_NAME,
    RESIZE,
    STATE_AND_NOTES,
    Contract,
    check_contract,
    load_contract,
    model_digest,
    write_contract,
)
from qvl.data.dataset import FusionDataset, JsonlDataset, TurnDataset
from qvl.data.demo import DemoScenes
from qvl.data.form import TurnFormat
from qvl.data.ledger import Ledger
from qvl.data.mix_file import write_mix
from qvl.data.part import SampleContext, SourcePart, Turn
from qvl.data.plan import EpochPlan, Ticket
from qvl.data.preflight import check_all
from qvl.data.preprocess import BasePreprocessor, KeepAll
from qvl.data.rows import IMAGE_CHECKS, CheckedRows, LeftOut, Looked, changed_files
from qvl.data.source import RowSource
from qvl.data.whole_pictures import Whole, WholePictures

__all__ = [
    "CONTRACT_NAME",
    "IMAGE_CHECKS",
    "RESIZE",
    "STATE_AND_NOTES",
    "AddSummary",
    "BasePreprocessor",
    "CheckedRows",
    "Contract",
    "DemoScenes",
    "EpochPlan",
    "FusionDataset",
    "JsonlDataset",
    "KeepAll",
    "Ledger",
    "LeftOut",
    "Looked",
    "RowSource",
    "SampleContext",
    "SourcePart",
    "Ticket",
    "Turn",
    "TurnDataset",
    "TurnFormat",
    "Whole",
    "WholePictures",
    "changed_files",
    "check_all",
    "check_contract",
    "load_contract",
    "model_digest",
    "write_contract",
    "write_mix",
]
