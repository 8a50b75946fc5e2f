"""The lectures' single units, linear models and boosting relatives."""
