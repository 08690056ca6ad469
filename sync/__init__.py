"""Motion: pull, project, admit, push."""

from __future__ import annotations
