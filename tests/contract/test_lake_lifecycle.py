"""The bucket's rule for cold files: ours beside those of others, and a refusal that names the setting."""

from __future__ import annotations

import pytest
from servers.objects import Store

from carbon254.errors import SettingsError
from carbon254.stores.lake.lifecycle import COLD_DAYS, RULE, ensure_rule, with_rule

OTHER = {
    "ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
}  # fmt: skip


def test_our_rule_is_there_once_beside_those_of_others() -> None:
    once = with_rule([OTHER], "lake/", "STANDARD_IA")
    assert with_rule(once, "lake/", "STANDARD_IA") == once and once[0] == OTHER
    (ours,) = (rule for rule in once if rule["ID"] == RULE)
    assert ours["Transitions"] == [{"Days": COLD_DAYS, "StorageClass": "STANDARD_IA"}]
    assert with_rule(once, "lake/", "GLACIER_IR")[1]["Transitions"][0]["StorageClass"] == "GLACIER_IR"


@pytest.mark.parametrize(
    ("warehouse", "name", "said"),
    [
        ("lake", "STANDARD_IA", "set C254_LAKE_WAREHOUSE=s3://bucket/prefix"),
        ("s3://b/lake", "DEEP_ARCHIVE", "cannot be read at once"),
    ],
)
def test_what_cannot_be_says_the_fix(warehouse: str, name: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"^C254_LAKE_STORAGE_CLASS.*{said}"):
        ensure_rule(warehouse, "", name)


@pytest.mark.servers("minio")
def test_a_class_that_the_store_lacks_is_refused_by_name_and_changes_nothing(s3: Store) -> None:
    bucket, client = s3.new_bucket(), s3.client()
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [OTHER]})
    with pytest.raises(SettingsError, match=r"^C254_LAKE_STORAGE_CLASS: s3://t\w+ refuses the class 'COLDER'"):
        ensure_rule(f"s3://{bucket}/lake", s3.url, "COLDER")
    assert [rule["ID"] for rule in client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]] == ["theirs"]
    with pytest.raises(SettingsError, match=r"^C254_LAKE_STORAGE_CLASS: NoSuchBucket"):
        ensure_rule("s3://nowhere-at-all/lake", s3.url, "COLDER")
