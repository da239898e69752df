"""What differs between runs, and which values are never shown."""

from __future__ import annotations

import pytest

from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import Moment, RunSpec
from genvx.core.runs.runcompare import differ, differing_variables, groups, looks_secret


def spec(**variables):
    return RunSpec("abcd", ("x",), Requirements(), "", "", Moment(0, 0), variables=variables)


def test_equal_values_have_equal_numbers():
    assert groups(["a", None, "b", "a", ""]) == (1, None, 2, 1, 3)


def test_only_variables_that_differ_are_named():
    found = differing_variables([spec(A="1", B="x"), spec(A="2", B="x"), spec(B="x", C="")])
    assert found == {"A": ("1", "2", None), "C": (None, None, "")}
    assert (differ(["a", "a"]), differ(["a", "b"])) == (False, True)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *dict.fromkeys(["WANDB_API_KEY", "HF_TOKEN", "db_password", "DATABASE_URL"], True).items(),
        *dict.fromkeys(["LR", "BATCH_SIZE", "CUDA_LAUNCH_BLOCKING", "SEED"], False).items(),
    ],
)
def test_a_name_tells_whether_a_value_may_be_a_secret(name, secret):
    assert looks_secret(name) is secret
