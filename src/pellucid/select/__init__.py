"""Model selection: every cross-validation of the lectures, and searches that train hundreds of models at once."""

from __future__ import annotations

import importlib
from typing import Any

#: Public name -> the module that has it; loaded when it is asked for.
_WHERE: dict[str, str] = {
    "Bootstrap": "splitters",
    "BootstrapEstimate": "out_of_bag",
    "Comparison": "significance",
    "CrossValidation": "results",
    "CrossValidationRequest": "command",
    "DifferentialEvolution": "baselines.differential",
    "EvolutionStrategy": "baselines.evolution",
    "Fold": "folds",
    "GeneticAlgorithm": "baselines.genetic",
    "GradientDescent": "baselines.descent",
    "Holdout": "splitters",
    "LearningCurve": "learning",
    "Member": "members",
    "MethodRun": "baselines.comparison",
    "Nested": "splitters",
    "NestedEstimate": "results",
    "OptimizerComparison": "baselines.comparison",
    "ParticleFilter": "baselines.particle_filter",
    "Predictions": "predictions",
    "RandomSearch": "baselines.random_search",
    "Refitted": "refitted",
    "SCHEMES": "splitters",
    "Search": "tuning.found",
    "Table": "table",
    "TestResult": "test_sets",
    "TestSetSeenWarning": "test_sets",
    "TrialRecord": "tuning.records",
    "TuningRequest": "tuning.command",
    "bootstrap_estimate": "out_of_bag",
    "compare": "comparison",
    "compare_all": "comparison",
    "compare_optimizers": "baselines.comparison",
    "corrected_interval": "significance",
    "corrected_t_test": "significance",
    "cross_validate": "validation",
    "error_curves": "curve_plots",
    "evaluate_once": "test_sets",
    "five_by_two_test": "significance",
    "learning_curve": "learning",
    "mcnemar": "significance",
    "mcnemar_test": "significance",
    "parameter_curves": "curve_plots",
    "plot_curves": "search_plots",
    "plot_folds": "fold_plots",
    "plot_history": "search_plots",
    "plot_importance": "search_plots",
    "plot_parallel_coordinates": "search_plots",
    "plot_scores": "curve_plots",
    "run_cross_validation": "command",
    "run_tuning": "tuning.command",
    "splitter": "splitters",
    "tune": "tuning.search",
    "validation_curve": "curve_plots",
}

__all__ = sorted(_WHERE)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
