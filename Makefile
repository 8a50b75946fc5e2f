# make check = what continuous integration checks, in the environment that is active.
.PHONY: check format lint types floors sizes test fast

check: lint types floors sizes test

format:
	ruff format src tests tools benchmarks examples
	ruff check --fix src tests tools benchmarks examples

lint:
	ruff format --check src tests tools benchmarks examples
	ruff check src tests tools benchmarks examples

types:
	pyright --pythonpath "$$(command -v python)"

floors:
	lint-imports

sizes:
	python tools/check_sizes.py

test:
	pytest

fast:
	pytest -m "not slow" -x -q
