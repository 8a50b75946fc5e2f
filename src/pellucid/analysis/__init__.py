"""Analysis: see every number of a training run, and why it went wrong."""

from __future__ import annotations

import importlib
from typing import Any

#: Public name -> the module that has it; loaded when it is asked for.
_WHERE: dict[str, str] = {
    "AxisField": "receptive_fields",
    "CheckedEntry": "gradient_check",
    "CriticalPoint": "critical",
    "CriticalSearch": "critical_search",
    "Curvature": "curvature",
    "Diagnosis": "diagnosis",
    "Eigenpairs": "curvature",
    "Escape": "critical",
    "Explanation": "explain_step",
    "Finding": "diagnosis",
    "GradientCheck": "gradient_check",
    "GradientTiming": "gradient_timing",
    "LearningRateRange": "range_test",
    "LossLine": "landscape_plots",
    "LossPlane": "landscape_plots",
    "LossSurface": "surface",
    "Maximised": "maximisation",
    "MinimumRatios": "minimum_ratio",
    "MissingDataWarning": "report",
    "ReceptiveField": "receptive_fields",
    "Recording": "recording",
    "Retry": "diagnosis",
    "SpectralDensity": "spectrum",
    "TaylorCheck": "taylor",
    "TopPatches": "features",
    "TraceEstimate": "curvature",
    "WeightTrajectory": "directions",
    "check_gradients": "gradient_check",
    "critical_point": "critical",
    "deconvnet": "deconvolution",
    "diagnose": "diagnosis",
    "escape_saddle": "critical",
    "explain": "explain_step",
    "feature_maps": "features",
    "feature_overview": "overview",
    "filters": "features",
    "find_critical_point": "critical_search",
    "grad_cam": "attribution",
    "gradients": "attribution",
    "guided_backpropagation": "deconvolution",
    "has_convolution": "features",
    "integrated_gradients": "attribution",
    "learning_rate_range": "range_test",
    "loss_line": "landscape",
    "loss_plane": "landscape",
    "loss_surface": "surfaces",
    "maximise_activation": "maximisation",
    "minimum_ratios": "minimum_ratio",
    "occlusion": "occluding",
    "plot_attribution": "feature_plots",
    "plot_attributions": "feature_plots",
    "plot_feature_maps": "feature_plots",
    "plot_filters": "feature_plots",
    "plot_maximised": "feature_plots",
    "plot_recording": "recording",
    "plot_top_patches": "feature_plots",
    "random_direction": "directions",
    "receptive_field": "receptive_fields",
    "saliency": "attribution",
    "smooth_gradients": "attribution",
    "strength": "attribution",
    "taylor_check": "taylor",
    "time_gradients": "gradient_timing",
    "top_patches": "features",
    "write_report": "report",
}

__all__ = sorted(_WHERE)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
