"""The lectures' single units, linear models and boosting relatives."""

from pellucid.classic.adaline import AdalineGD, AdalineSGD
from pellucid.classic.boosting import AdaBoostStumps, Stump
from pellucid.classic.cascade import Cascade, ScanReport, Stage
from pellucid.classic.cascade_training import CascadeTrainer, StageReport
from pellucid.classic.detection import Box, Detection, iou, non_maximum_suppression
from pellucid.classic.gates import AND, NAND, NOT, OR, XOR, Circuit, binary_inputs, parity_circuit, truth_table
from pellucid.classic.haar import HaarFeature, HaarFeatures, Windows, integral_image
from pellucid.classic.linear import NotFittedError
from pellucid.classic.logistic import LogisticRegressionGD
from pellucid.classic.neuron import McCullochPitts, unit_step
from pellucid.classic.perceptron import Perceptron
from pellucid.classic.regression import LinearRegressionGD
from pellucid.classic.separation import Separation, separate
from pellucid.classic.vectorisation import DotTimes, compare_dot

__all__ = [
    "AND", "AdaBoostStumps", "AdalineGD", "AdalineSGD", "Box", "Cascade", "CascadeTrainer", "Circuit", "Detection",
    "DotTimes", "HaarFeature", "HaarFeatures", "LinearRegressionGD", "LogisticRegressionGD", "McCullochPitts", "NAND",
    "NOT", "NotFittedError", "OR", "Perceptron", "ScanReport", "Separation", "Stage", "StageReport", "Stump", "Windows",
    "XOR", "binary_inputs", "compare_dot", "integral_image", "iou", "non_maximum_suppression", "parity_circuit",
    "separate", "truth_table", "unit_step",
]  # fmt: skip
