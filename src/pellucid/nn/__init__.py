"""Layers, activations, initialisers, regularisers and losses."""

from pellucid.nn import activations, initializers, losses, regularizers
from pellucid.nn.convolution import Conv1D, Conv2D
from pellucid.nn.core import (
    ELU,
    Activation,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    Lambda,
    LeakyReLU,
    Rescaling,
    Reshape,
    Softmax,
)
from pellucid.nn.layer import Layer, Parameter, phase
from pellucid.nn.merging import Add, Average, Concatenate, Maximum, Multiply, Subtract
from pellucid.nn.normalization import BatchNorm, LayerNorm, Normalization
from pellucid.nn.pooling import AvgPool1D, AvgPool2D, GlobalAveragePool, GlobalMaxPool, MaxPool1D, MaxPool2D
from pellucid.nn.recurrent import GRU, LSTM, SimpleRNN
from pellucid.nn.symbol import Input, Symbol

#: The closed list of layers that a saved file may name.
LAYERS: dict[str, type[Layer]] = {
    cls.__name__: cls
    for cls in (
        Activation, Add, Average, AvgPool1D, AvgPool2D, BatchNorm, Concatenate, Conv1D, Conv2D, Dense, Dropout, ELU,
        Embedding, Flatten, GRU, GaussianNoise, GlobalAveragePool, GlobalMaxPool, LSTM, Lambda, LayerNorm, LeakyReLU,
        MaxPool1D, MaxPool2D, Maximum, Multiply, Normalization, Rescaling, Reshape, SimpleRNN, Softmax, Subtract,
    )
}  # fmt: skip

__all__ = [
    "ELU", "GRU", "LAYERS", "LSTM", "Activation", "Add", "Average", "AvgPool1D", "AvgPool2D", "BatchNorm",
    "Concatenate", "Conv1D", "Conv2D", "Dense", "Dropout", "Embedding", "Flatten", "GaussianNoise",
    "GlobalAveragePool", "GlobalMaxPool", "Input", "Lambda", "Layer", "LayerNorm", "LeakyReLU", "MaxPool1D",
    "MaxPool2D", "Maximum", "Multiply", "Normalization", "Parameter", "Rescaling", "Reshape", "SimpleRNN", "Softmax",
    "Subtract", "Symbol", "activations", "initializers", "losses", "phase", "regularizers",
]  # fmt: skip
