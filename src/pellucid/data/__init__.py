"""Data sets: the built-in ones by name, the user's own tables, splitting and encoding.

Every loader returns a :class:`Dataset` with training and test examples as NumPy arrays.
"""

from pellucid.data.dataset import Dataset, Encoder
from pellucid.data.distort import distort, distorted_batches
from pellucid.data.encode import one_hot
from pellucid.data.idx import read_idx
from pellucid.data.registry import load, names
from pellucid.data.scaling import Standardization, standardize
from pellucid.data.schema import Column, EncodedTable, TableSchema
from pellucid.data.sms_spam import sms_messages
from pellucid.data.sound import SoundEncoder, fit_length, log_mel, mel_filters, mfcc, power_spectrum
from pellucid.data.split import split_indices, train_test_split
from pellucid.data.spoken_digits import Takes, load_takes
from pellucid.data.table import from_frame, load_csv
from pellucid.data.text import BagOfWords, split_words

__all__ = [
    "BagOfWords",
    "Column",
    "Dataset",
    "EncodedTable",
    "Encoder",
    "SoundEncoder",
    "Standardization",
    "TableSchema",
    "Takes",
    "distort",
    "distorted_batches",
    "fit_length",
    "from_frame",
    "load",
    "load_csv",
    "load_takes",
    "log_mel",
    "mel_filters",
    "mfcc",
    "names",
    "one_hot",
    "power_spectrum",
    "read_idx",
    "sms_messages",
    "split_indices",
    "split_words",
    "standardize",
    "train_test_split",
]
