"""Classical methods to stand beside a network in a table."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from mirnet.choices import BaselineName
from mirnet.errors import MissingDependencyError
from mirnet.evaluation.baselines.brightening import CLAHE, HISTOGRAM_EQUALISATION, LIME
from mirnet.evaluation.baselines.denoising import BM3D, BM3D_BEST, NON_LOCAL_MEANS
from mirnet.evaluation.baselines.sharpening import MEAN_OF_VIEWS, UNSHARP_MASK
from mirnet.evaluation.baselines.spec import Baseline
from mirnet.evaluation.method import Method

BASELINES: dict[BaselineName, Baseline] = {
    baseline.name: baseline
    for baseline in (
        BM3D,
        BM3D_BEST,
        NON_LOCAL_MEANS,
        HISTOGRAM_EQUALISATION,
        CLAHE,
        LIME,
        UNSHARP_MASK,
        MEAN_OF_VIEWS,
    )
}


def by_baseline(name: BaselineName) -> Method:
    """A classical method. MissingDependencyError if its library is not installed."""
    baseline = BASELINES[name]
    return Method(
        name=name,
        identity={
            "kind": "baseline",
            "baseline": name,
            "source": baseline.source,
            "versions": _versions(baseline),
        },
        restore=baseline.restore,
    )


def _versions(baseline: Baseline) -> dict[str, str]:
    try:
        return {package: version(package) for package in baseline.packages}
    except PackageNotFoundError as error:
        raise MissingDependencyError(
            f'--baseline {baseline.name} needs {error.name}; pip install "mirnet[baselines]"'
        ) from error
