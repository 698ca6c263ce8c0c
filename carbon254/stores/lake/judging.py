"""Which manifests a commit has to look into, judged by each thread for itself.

pyiceberg (0.12) reads the manifests of a commit in several threads and gives all of them one evaluator, which keeps the
manifest that it is judging in itself: two threads overwrite each other's, a manifest is passed over, and the commit
ends with "Missing required files to delete" though every file is there. Here each judgement has its own evaluator.
"""

from __future__ import annotations

from collections.abc import Callable

from pyiceberg.expressions import BooleanExpression
from pyiceberg.expressions.visitors import manifest_evaluator
from pyiceberg.manifest import ManifestFile
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.update import snapshot


def evaluator(
    spec: PartitionSpec, schema: Schema, row_filter: BooleanExpression, case_sensitive: bool = True
) -> Callable[[ManifestFile], bool]:
    """Whether a manifest may hold rows that pass the filter; may be called by many threads at once."""
    return lambda manifest: manifest_evaluator(spec, schema, row_filter, case_sensitive)(manifest)


def judge_apart() -> None:
    """Let every commit of this process judge so."""
    snapshot.manifest_evaluator = evaluator  # pyright: ignore[reportPrivateImportUsage]
