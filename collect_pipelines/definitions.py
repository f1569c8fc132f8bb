"""Everything that Dagster is told of."""

from __future__ import annotations

import dagster as dg

defs = dg.Definitions()
