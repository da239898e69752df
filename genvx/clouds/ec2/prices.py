"""What a type of instance has, and what it costs an hour, where that is known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from genvx.core.text import printable
from genvx.errors import GenvxError

if TYPE_CHECKING:
    from genvx.clouds.ec2.cloud import Cloud

# Nobody waits for a price: it is left out.
_SECONDS = 5


def gpus(cloud: Cloud, kind: str) -> str:
    """Return the GPUs of a type of instance, such as "8 x NVIDIA A100"; empty if not known."""
    try:
        (found,) = cloud.service.call("describe_instance_types", InstanceTypes=[kind])[
            "InstanceTypes"
        ]
    except (GenvxError, ValueError):
        return ""
    each = (found.get("GpuInfo") or {}).get("Gpus") or ()
    words = (f"{g.get('Count', 1)} x {g.get('Manufacturer', '')} {g.get('Name', '')}" for g in each)
    return printable(", ".join(" ".join(word.split()) for word in words), 100)


def price(cloud: Cloud, kind: str, *, spot: bool, zone: str = "") -> float | None:
    """Return the US dollars that an hour of a type of instance costs; None if that is not known.

    Without a zone the price of a spot instance is the highest of its region.
    """
    try:
        return _spot(cloud, kind, zone) if spot else _on_demand(cloud, kind)
    # Prices are for people: whatever is wrong with them must not keep a machine from starting.
    except (GenvxError, KeyError, TypeError, ValueError):
        return None


def _spot(cloud: Cloud, kind: str, zone: str) -> float | None:
    more: dict[str, Any] = {"AvailabilityZone": zone} if zone else {}
    found = cloud.service.call(
        "describe_spot_price_history",
        InstanceTypes=[kind],
        ProductDescriptions=["Linux/UNIX"],
        MaxResults=20,
        **more,
    )["SpotPriceHistory"]
    latest: dict[str, dict[str, Any]] = {}
    for each in found:
        at = each["AvailabilityZone"]
        if at not in latest or each["Timestamp"] > latest[at]["Timestamp"]:
            latest[at] = each
    return max((float(each["SpotPrice"]) for each in latest.values()), default=None)


def _on_demand(cloud: Cloud, kind: str) -> float | None:
    account = cloud.account
    # Prices are a service of AWS's own, which other servers do not have.
    if account.endpoint_url is not None or account.region is None:
        return None
    # It is in few regions, and knows the prices of all.
    service = type(account)("us-east-1", account.profile).service(
        "pricing", tries=1, seconds=_SECONDS
    )
    filters = {
        "instanceType": kind,
        "regionCode": account.region,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    answer = service.call(
        "get_products",
        ServiceCode="AmazonEC2",
        Filters=[{"Type": "TERM_MATCH", "Field": k, "Value": v} for k, v in filters.items()],
        MaxResults=1,
    )
    return on_demand_of(answer)


def on_demand_of(answer: dict[str, Any]) -> float | None:
    """Return the price in an answer of AWS's list of prices; None if it has none."""
    for text in answer.get("PriceList", ()):
        for term in json.loads(text)["terms"]["OnDemand"].values():
            for dimension in term["priceDimensions"].values():
                found = float(dimension["pricePerUnit"]["USD"])
                if found > 0:
                    return found
    return None
