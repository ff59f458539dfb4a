"""`rijksnet init --from`: a museum's services are looked at by their first answers, and become a collection."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from rich.markup import escape

from rijksnet.collection_params import Politeness
from rijksnet.collections.metadata import parse
from rijksnet.collections.metadata.addresses import likely_kind
from rijksnet.collections.metadata.fields import MetadataError
from rijksnet.data.splits import COLUMN_OF
from rijksnet.errors import HarvestError, ParamsError
from rijksnet.harvesting.http import Server
from rijksnet.harvesting.oai import OaiService
from rijksnet.paths import PARAMS
from rijksnet.protocol import label_of
from rijksnet.starting.asking import console
from rijksnet.starting.begin import CONTACT, EXAMPLES, SHOWN, begin, require_names
from rijksnet.starting.manifests import ADDRESS, table_of_manifests
from rijksnet.starting.outlook import SMALL, ChallengeOutlook, Outlook
from rijksnet.starting.proposal import networks_for, parameters
from rijksnet.starting.write import commented

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rijksnet.collections.metadata.fields import AddressKind, Metadata
    from rijksnet.harvesting.oai import Page
    from rijksnet.params import Challenge
    from rijksnet.starting.asking import Asker
    from rijksnet.starting.begin import Wishes

Format = Literal["dc", "edm", "lido"]

#: How services name the formats that are read, by what is in their names; those that say most of an object first.
FORMATS: tuple[tuple[str, Format], ...] = (("lido", "lido"), ("edm", "edm"), ("oai_dc", "dc"), ("dc", "dc"))

REQUESTS_PER_S = 2.0


@dataclass
class Sample:
    """What the first records of a service say."""

    records: list[Metadata] = field(default_factory=list)
    unreadable: int = 0
    announced: int | None = None

    def share(self, what: str) -> float:
        return sum(bool(getattr(one, what)) for one in self.records) / max(1, len(self.records))


def begin_with_iiif(url: str, wishes: Wishes, asker: Asker, home: Path = Path(), server: Server | None = None) -> None:
    """Write a table of a IIIF collection's manifests, and params.yaml for it.

    Raises:
        ParamsError, HarvestError, CollectionError: as `table_of_manifests` and `begin`.
    """
    require_names(wishes)
    contact, name = _contact(wishes, asker), wishes.name or _name(url)
    server = server or Server(Politeness(contact=contact, requests_per_s=REQUESTS_PER_S))
    table = home / "data" / name / "raw" / "manifests.csv"
    table.parent.mkdir(parents=True, exist_ok=True)
    table_of_manifests(url, table, server)
    columns = {"image": ADDRESS, **wishes.columns}
    begin(replace(wishes, table=table, name=name, contact=contact, columns=columns, kind="manifest"), asker, home)


def _contact(wishes: Wishes, asker: Asker) -> str:
    return wishes.contact or asker.text(CONTACT, "name@example.org", "--contact")


def begin_with_oai(url: str, wishes: Wishes, asker: Asker, home: Path = Path(), server: Server | None = None) -> None:
    """Write params.yaml for an OAI-PMH service.

    Raises:
        ParamsError: there is nobody to ask, or its records name no images or nothing that could be recognised.
        HarvestError: it is no OAI-PMH service, or does not answer.
    """
    require_names(wishes)
    contact = _contact(wishes, asker)
    politeness = Politeness(contact=contact, requests_per_s=REQUESTS_PER_S)
    server = server or Server(politeness)
    identity = OaiService(url, "", server).identify()
    console.print(f"{escape(url)}: an OAI-PMH service; its clock says {identity.date}")
    prefix, form = _format(OaiService(url, "", server).formats(), asker)
    service = OaiService(url, prefix, server)
    set_spec = _set(service, asker)
    page = service.first_page(set_spec, "", "")
    kind, sample = _likeliest(page, form)
    _show(sample, form)
    found = _outlook(sample)
    challenges = list(wishes.recognise) or [one for one, its in found.challenges.items() if its.works]
    if not sample.share("image"):
        raise ParamsError(
            f"the first {len(sample.records)} records of {url} name no image; some services have another format that "
            f"does, or another set: choose it, or bring the images as a table (`rijksnet init --table`)"
        )
    if not challenges:
        raise ParamsError(f"the first {len(sample.records)} records of {url} have no two types, materials or makers")
    name = wishes.name or _name(url)
    asked = {"contact": contact, "requests_per_s": REQUESTS_PER_S}
    collection: dict[str, Any] = {
        "reader": "oai_pmh",
        "raw": f"data/{name}/raw",
        "endpoint": url,
        "prefix": prefix,
        "format": form,
        "sets": [set_spec] if set_spec else [],
        "language": "en",
        "server": asked,
        "download": {"kind": kind, **asked},
    }
    if form == "lido":  # where a maker is `role: name`
        collection["cleaning"] = {"creator": ["roles", "unnamed"]}
    networks = networks_for(name, collection, challenges, found, wishes.weights)
    opening = (
        f"Parameters of {name}, harvested from {url}; written by `rijksnet init` after its first records.\n"
        f"Every line may be changed. Then: rijksnet harvest {name}, rijksnet fetch {name}, dvc repro"
    )
    text = commented(parameters(name, collection, challenges, found, networks), opening)
    (home / PARAMS).write_text(text, encoding="utf-8")
    console.print(
        f"[green]{PARAMS}[/] written: {', '.join(challenges)} by {', '.join(networks.architectures)}; "
        f"{asker.questions} questions asked. Now:\n  rijksnet harvest {name}    its records\n"
        f"  rijksnet fetch {name}      their images\n  dvc repro"
    )


def _format(prefixes: Sequence[str], asker: Asker) -> tuple[str, Format]:
    known: dict[str, Format] = {}
    for part, form in FORMATS:
        known |= {prefix: form for prefix in prefixes if part in prefix.lower() and prefix not in known}
    if not known:
        raise ParamsError(f"the service gives {list(prefixes)}, and Dublin Core, EDM and LIDO are what is read here")
    shown = {prefix: {"dc": "Dublin Core", "edm": "EDM", "lido": "LIDO"}[form] for prefix, form in known.items()}
    prefix = asker.choose("In which form?", shown) if len(known) > 1 else next(iter(known))
    return prefix, known[prefix]


def _set(service: OaiService, asker: Asker) -> str:
    try:
        sets = service.sets()
    except HarvestError:  # services need not have sets
        return ""
    if not sets:
        return ""
    everything = "(everything)"
    chosen = asker.choose("Which set?", {everything: "all records", **dict(sets)})
    return "" if chosen == everything else chosen


def _likeliest(page: Page, form: Format) -> tuple[AddressKind, Sample]:
    """What the records' addresses of images are: the first kind that most of them have."""
    kinds: tuple[AddressKind, ...] = ("manifest", "iiif")
    for kind in kinds:
        sample = _sample(page, form, kind)
        if likely_kind([one.image for one in sample.records]) == kind:
            return kind, sample
    return "url", _sample(page, form, "url")


def _sample(page: Page, form: Format, kind: AddressKind) -> Sample:
    sample = Sample(announced=page.announced)
    for record in page.records:
        if record.deleted:
            continue
        try:
            sample.records.append(parse(record.metadata, form, "en", kind))
        except MetadataError:
            sample.unreadable += 1
    return sample


def _show(sample: Sample, form: Format) -> None:
    of = "" if sample.announced is None else f" of {sample.announced:,}"
    console.print(f"looked at {len(sample.records)}{of} records ({form}), {sample.unreadable} could not be read")
    for what in ("image", "types", "materials", "creators", "rights", "title"):
        values = [getattr(one, what) for one in sample.records]
        flat = [value for one in values for value in ((one,) if isinstance(one, str) else one) if value]
        examples = " · ".join(value for value, _ in Counter(flat).most_common(EXAMPLES))
        console.print(f"  {what}: {sample.share(what):.0%} of the records; for example {escape(examples[:90])}")


def _outlook(sample: Sample) -> Outlook:
    """As far as a sample tells: which classes there are, not which have enough objects."""
    challenges: dict[Challenge, ChallengeOutlook] = {}
    for challenge, name in COLUMN_OF.items():
        values = [getattr(one, f"{name}s") for one in sample.records]
        counts = Counter(label for its in values if (label := label_of(challenge, its)))
        challenges[challenge] = ChallengeOutlook(dict(counts.most_common(SHOWN * 100)), 0, False)
    objects = sample.announced or SMALL
    return Outlook(objects, objects, {}, challenges)


def _name(url: str) -> str:
    host = (urlsplit(url).hostname or "museum").removeprefix("www.")
    parts = [part for part in host.split(".") if part not in ("oai", "data", "api", "org", "com", "nl", "de", "net")]
    return "-".join(filter(str.isascii, parts))[:60].strip("-") or "museum"
