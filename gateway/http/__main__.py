"""Write the OpenAPI description of all resources to standard output: `python -m gateway.http`."""

from __future__ import annotations

import sys

from gateway.http.description.openapi import write_description
from gateway.http.resources import TABLE

if __name__ == "__main__":
    sys.stdout.write(write_description(TABLE).decode())
