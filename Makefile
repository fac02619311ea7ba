# Every target makes the virtual environment that it needs, on first use.
PYTHON ?= python3
DEV := .venv
DEMO := .venv-demo
BIN := $(DEV)/bin
PACKAGES := producer storage ingest ui deploy tests
.DEFAULT_GOAL := help
.PHONY: help demo test check format bench chaos lock wheel test-wheel test-pypi test-containers environment environment-demo clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 20

environment:
	@$(PYTHON) deploy/environment.py $(DEV) requirements/dev.txt

environment-demo:
	@$(PYTHON) deploy/environment.py $(DEMO) requirements/demo.txt

demo: environment-demo ## Train 24 real runs and look at them (STACK=full: through Kafka, ClickHouse and MinIO; DEMO_EXIT=1: do not stay)
	@$(DEMO)/bin/python -m runstream_deploy.demo

test: environment ## Run the tests; ARGS="-k spool" for some of them
	@$(BIN)/python -m pytest $(ARGS)

check: environment ## What CI checks besides the tests: format, lint, types, layers
	@$(BIN)/ruff format --check $(PACKAGES)
	@$(BIN)/ruff check $(PACKAGES)
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: environment ## Format the code and mend what lint can mend
	@$(BIN)/ruff format $(PACKAGES)
	@$(BIN)/ruff check --fix $(PACKAGES)

bench: environment ## Measure everything, print it and write docs/benchmarks.md
	@$(BIN)/python deploy/bench

chaos: environment ## Break everything for a while and count what is there; ARGS="--minutes 10 --seed 7"
	@$(BIN)/python tests/chaos $(ARGS)

lock: environment ## Resolve the newest versions that pyproject.toml allows into requirements/*.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade --extra dev pyproject.toml -o requirements/dev.txt --custom-compile-command "make lock"
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra demo -c requirements/dev.txt pyproject.toml -o requirements/demo.txt --custom-compile-command "make lock"
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra all -c requirements/dev.txt pyproject.toml -o requirements/all.txt --custom-compile-command "make lock"

wheel: environment ## Build the wheel into dist/
	@$(BIN)/uv build --quiet --wheel --out-dir dist

test-wheel: wheel ## Install the wheel into an empty environment and run the demo from it
	@sh deploy/test_wheel.sh

test-pypi: environment ## Run the tests with nothing from outside PyPI: Java, Maven, npm, Go and Docker hidden
	@sh tests/services/hidden_path.sh $(BIN)/python -m pytest $(ARGS)

test-containers: environment ## Prove the container tier and the compose file on a local Docker engine
	@bash deploy/containers/test.sh

clean: ## Remove environments and caches of this checkout
	@rm -rf $(DEV) $(DEMO) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
