# Short names for what CONTRIBUTING.md describes; nothing here is needed to run or test Stafett.
PYTHON ?= python3
COMPILE = uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
# Later ones have no wheel for Intel Macs. (Not in pyproject.toml: there it would stop uv's install with hashes.)
HOLD = echo 'argon2-cffi-bindings<26' |
HOSTS = grep -nE '://|file:|\.(org|com|net|io)\b'

.PHONY: serve test lock upgrade fix pictures reference
serve:
	$(PYTHON) -m bot serve

test:
	$(PYTHON) -m tests

# Follow pyproject.toml, keep the versions that are locked; `make upgrade` takes the newest allowed ones.
lock:
	$(HOLD) $(COMPILE) $(LOCKFLAGS) -c /dev/stdin -o requirements.txt
	$(HOLD) $(COMPILE) $(LOCKFLAGS) -c /dev/stdin --extra dev -c requirements.txt -o requirements-dev.txt
	! $(HOSTS) requirements.txt requirements-dev.txt

upgrade:
	$(MAKE) lock LOCKFLAGS=--upgrade

fix:
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# What is published of a desk's keys: for editors, and for people.
reference:
	.venv/bin/python -m bot check --schema > docs/desk.schema.json
	.venv/bin/python -m bot check --reference > docs/reference.md

# The README's pictures, taken from the running product.
pictures:
	.venv/bin/python -m tests.support.pictures
