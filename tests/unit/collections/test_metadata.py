from __future__ import annotations

import re

import pytest

from oai_server import OAI_DC, dublin_core
from rijksnet.collections.cleaning.roles import roles
from rijksnet.collections.metadata import parse
from rijksnet.collections.metadata.elements import read_xml
from rijksnet.collections.metadata.fields import AddressKind, Metadata, MetadataError

#: A record of the Rijksmuseum's present service, shortened: things stand beside the object, the image is nested.
NIGHT_WATCH = """
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:edm="http://www.europeana.eu/schemas/edm/"
    xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/"
    xmlns:ore="http://www.openarchives.org/ore/terms/" xmlns:skos="http://www.w3.org/2004/02/skos/core#">
  <ore:Aggregation rdf:about="https://id.rijksmuseum.nl/200107928#aggregation">
    <edm:aggregatedCHO>
      <edm:ProvidedCHO rdf:about="https://id.rijksmuseum.nl/200107928">
        <dc:creator rdf:resource="https://id.rijksmuseum.nl/2103429"/>
        <dc:identifier>SK-C-5</dc:identifier>
        <dc:title xml:lang="en">The Night Watch</dc:title>
        <dc:title xml:lang="nl">De Nachtwacht</dc:title>
        <dc:type rdf:resource="https://id.rijksmuseum.nl/2208"/>
        <edm:type>IMAGE</edm:type>
        <rdf:type rdf:resource="http://www.europeana.eu/schemas/edm/PhysicalThing"/>
        <dcterms:medium rdf:resource="https://id.rijksmuseum.nl/22010"/>
        <dcterms:medium rdf:resource="https://id.rijksmuseum.nl/2209"/>
      </edm:ProvidedCHO>
    </edm:aggregatedCHO>
    <edm:rights rdf:resource="http://creativecommons.org/publicdomain/mark/1.0/"/>
    <edm:isShownBy>
      <edm:WebResource rdf:about="https://iiif.micr.io/PJEZO/full/max/0/default.jpg"/>
    </edm:isShownBy>
    <edm:object rdf:resource="https://example.org/thumbnail.jpg"/>
  </ore:Aggregation>
  <edm:Agent rdf:about="https://id.rijksmuseum.nl/2103429">
    <skos:prefLabel xml:lang="en">Rembrandt van Rijn</skos:prefLabel>
  </edm:Agent>
  <skos:Concept rdf:about="https://id.rijksmuseum.nl/22010">
    <skos:prefLabel xml:lang="en">canvas</skos:prefLabel>
    <skos:prefLabel xml:lang="nl">doek</skos:prefLabel>
  </skos:Concept>
  <skos:Concept rdf:about="https://id.rijksmuseum.nl/2208">
    <skos:prefLabel xml:lang="en">painting</skos:prefLabel>
    <skos:prefLabel>schilderij</skos:prefLabel>
  </skos:Concept>
</rdf:RDF>
"""


def dc(**values: str | list[str]) -> Metadata:
    return parse(dublin_core(**values).encode(), "dc", "nl")


def edm(xml: str, language: str = "nl") -> Metadata:
    return parse(xml.encode(), "edm", language)


class TestDublinCore:
    def test_fields(self) -> None:
        assert dc(
            identifier=["http://hdl.handle.net/10934/RM0001", "BK-1963-101", "second"],
            creator=["Falconet, Étienne-Maurice", "prentmaker: Rembrandt"],
            type="beeldhouwwerk",
            format=["marmer", "koper"],
            title="Zittende Amor",
            rights=["Publiek domein", "http://creativecommons.org/publicdomain/mark/1.0/"],
            relation=[
                "https://example.org/page.html",
                "https://example.org/a.JPG?width=9",
                "https://example.org/b.png",
            ],
        ) == Metadata(
            identifier="BK-1963-101",
            creators=("Falconet, Étienne-Maurice", "prentmaker: Rembrandt"),
            types=("beeldhouwwerk",),
            materials=("marmer", "koper"),
            title="Zittende Amor",
            rights="http://creativecommons.org/publicdomain/mark/1.0/",
            image="https://example.org/a.JPG?width=9",
        )

    def test_nothing_said(self) -> None:
        assert dc() == Metadata("", (), (), (), "", "", "")

    def test_marked_materials_leave_sizes_out(self) -> None:
        assert dc(format=["materiaal: papier", "hoogte 10 cm", "Material:inkt"]).materials == ("papier", "inkt")

    @pytest.mark.parametrize(
        ("address", "image"),
        [
            ("https://iiif.example.org/x/full/max/0/default", True),
            ("http://example.org/x.tif", True),
            ("https://example.org/x.pdf", False),
            ("x.jpg", False),
            ("http://[bad.jpg", False),
        ],
    )
    def test_which_address_is_an_image(self, address: str, image: bool) -> None:
        assert dc(identifier=["A-1", address]).image == (address if image else "")

    @pytest.mark.parametrize(
        ("kind", "address"),
        [
            ("iiif", "https://m.org/iiif/3/info.json"),
            ("iiif", "https://m.org/iiif/3/full/full/0/default.jpg"),
            ("iiif", "https://m.org/fcgi?IIIF=3.tif"),
            ("manifest", "https://m.org/3/manifest"),
            ("manifest", "https://m.org/iiif/3.json"),
            ("iiif", "https://m.org/iiif/3"),
            ("url", "https://m.org/show.php?file=3.jpg"),
            ("url", "https://m.org/3.jp2"),
            ("url", "https://m.org/objects/3"),  # as the likeliest: it is a relation
        ],
    )
    def test_an_address_is_what_download_says(self, kind: AddressKind, address: str) -> None:
        xml = dublin_core(identifier=["A-1", "https://m.org/page/3"], relation=address).encode()
        assert parse(xml, "dc", "nl", kind).image == address

    def test_a_manifest_is_no_image(self) -> None:
        both = ["https://m.org/iiif/3/manifest", "https://m.org/iiif/2/3/info.json"]
        xml = dublin_core(identifier="A-1", relation=both).encode()
        assert parse(xml, "dc", "nl", "iiif").image == both[1]
        assert parse(xml, "dc", "nl", "manifest").image == both[0]

    def test_without_an_image_the_addresses_are_told(self) -> None:
        found = dc(identifier=["A-1", "https://m.org/page/3"], source="https://m.org/source")
        assert (found.image, found.addresses) == ("", ("https://m.org/page/3", "https://m.org/source"))

    @pytest.mark.parametrize(
        "word", ["Image", "image", "StillImage", "Still Image", "http://purl.org/dc/dcmitype/Image"]
    )
    def test_words_for_kinds_of_resources_are_no_types(self, word: str) -> None:
        assert dc(type=[word, "prent"]).types == ("prent",)

    def test_languages(self) -> None:
        xml = OAI_DC.format(
            '<dc:type xml:lang="en-GB">print</dc:type><dc:type xml:lang="nl">prent</dc:type><dc:type>estampe</dc:type>'
        ).encode()
        assert [parse(xml, "dc", language).types for language in ("nl", "en", "de")] == [
            ("prent",),
            ("print",),
            ("estampe",),
        ]

    def test_only_other_languages(self) -> None:
        xml = OAI_DC.format('<dc:type xml:lang="en">print</dc:type><dc:type xml:lang="de">Druck</dc:type>').encode()
        assert parse(xml, "dc", "nl").types == ("print",)

    def test_without_namespaces(self) -> None:
        assert parse(b"<dc><identifier>A-1</identifier><type>prent</type></dc>", "dc", "nl").types == ("prent",)


class TestEdm:
    def test_fields(self) -> None:
        assert edm(NIGHT_WATCH) == Metadata(
            identifier="SK-C-5",
            creators=("Rembrandt van Rijn",),
            types=("schilderij",),
            materials=("doek", "https://id.rijksmuseum.nl/2209"),
            title="De Nachtwacht",
            rights="http://creativecommons.org/publicdomain/mark/1.0/",
            image="https://iiif.micr.io/PJEZO/full/max/0/default.jpg",
        )
        assert list(edm(NIGHT_WATCH).ids()) == ["https://id.rijksmuseum.nl/2209"]
        assert edm(NIGHT_WATCH, "en").materials[0] == "canvas"

    def test_image_by_resource(self) -> None:
        shown = '<edm:isShownBy rdf:resource="https://iiif.micr.io/A/full/max/0/default.jpg:"/>'
        xml = re.sub(r"<edm:isShownBy>.*</edm:isShownBy>", shown, NIGHT_WATCH, flags=re.DOTALL)
        assert edm(xml).image == "https://iiif.micr.io/A/full/max/0/default.jpg"

    def test_falls_back_on_the_thumbnail(self) -> None:
        xml = re.sub(r"<edm:isShownBy>.*</edm:isShownBy>", "", NIGHT_WATCH, flags=re.DOTALL)
        assert edm(xml).image == "https://example.org/thumbnail.jpg"

    def test_things_nested_where_they_are_referred_to(self) -> None:
        xml = NIGHT_WATCH.replace(
            '<dc:creator rdf:resource="https://id.rijksmuseum.nl/2103429"/>',
            '<dc:creator><edm:Agent rdf:about="https://x.org/1"><skos:prefLabel>Steen, Jan</skos:prefLabel></edm:Agent>'
            "</dc:creator><dc:creator><edm:Agent><skos:prefLabel>No id</skos:prefLabel></edm:Agent></dc:creator>"
            '<dc:creator><edm:Agent rdf:about="https://x.org/2"/></dc:creator>'
            '<dc:creator xml:lang="nl">in woorden</dc:creator><dc:creator xml:lang="en">in words</dc:creator>',
        )
        assert edm(xml).creators == ("Steen, Jan", "No id", "https://x.org/2", "in woorden")

    def test_medium_and_format_each_once(self) -> None:
        xml = NIGHT_WATCH.replace("<edm:type>", "<dc:format>doek</dc:format><dc:format>olieverf</dc:format><edm:type>")
        assert edm(xml).materials == ("doek", "https://id.rijksmuseum.nl/2209", "olieverf")

    def test_the_object_and_not_a_part_of_it(self) -> None:
        part = '<edm:ProvidedCHO rdf:about="https://x.org/part"><dc:identifier>part</dc:identifier></edm:ProvidedCHO>'
        xml = NIGHT_WATCH.replace("<ore:Aggregation", f"{part}<ore:Aggregation", 1)
        assert edm(xml).identifier == "SK-C-5"

    def test_object_beside_the_aggregation_without_namespaces(self) -> None:
        xml = (
            '<RDF><Aggregation><aggregatedCHO resource="https://x.org/1"/><rights>no</rights></Aggregation>'
            '<ProvidedCHO about="https://x.org/1"><type>prent</type><type>IMAGE</type></ProvidedCHO></RDF>'
        )
        metadata = edm(xml)
        assert (metadata.types, metadata.rights, metadata.image) == (("prent",), "no", "")

    def test_no_object(self) -> None:
        with pytest.raises(MetadataError, match="ProvidedCHO"):
            edm("<RDF/>")


BOMB = "<!DOCTYPE d [{}]><dc>&b;</dc>".format(
    '<!ENTITY a "aaaaaaaaaa">' + "".join(f'<!ENTITY {chr(98 + i)} "{"&" + chr(97 + i) + ";"}">' for i in range(9))
)


@pytest.mark.parametrize(
    "content",
    [
        BOMB.encode(),
        b'\xef\xbb\xbf<?xml version="1.0"?> <!-- x --> <!DOCTYPE dc SYSTEM "http://127.0.0.1:1/x.dtd"><dc/>',
        b'<!DOCTYPE d [<!ENTITY b SYSTEM "file:///etc/hostname">]><dc>&b;</dc>',
        b"<!doctype html><html/>",
        f'<?xml version="1.0" encoding="utf-16"?>{BOMB}'.encode("utf-16"),
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE dc><dc/>'.encode("utf-16"),
    ],
    ids=["bomb", "external DTD", "external entity", "HTML", "bomb in UTF-16", "document type in UTF-16"],
)
def test_document_types_are_refused(content: bytes) -> None:
    with pytest.raises(MetadataError, match=r"DOCTYPE|amplification"):
        read_xml(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<dc>",
        b"<dc>\xe9</dc>",
        b"<dc>\x01</dc>",
        b"<dc>&undefined;</dc>",
        b'<?xml version="1.0" encoding="no-such"?><dc/>',
        b"<a>" * 100_000,
        b"<?a?>" * 100_000 + b"<!DOCTYP",
    ],
    ids=["empty", "open", "encoding", "character", "entity", "unknown encoding", "depth", "many instructions"],
)
def test_broken_xml(content: bytes) -> None:
    with pytest.raises(MetadataError, match="no well-formed XML"):
        read_xml(content)


def test_document_type_in_text_is_text() -> None:
    assert read_xml(b"<dc><![CDATA[<!DOCTYPE html>]]></dc>").text == "<!DOCTYPE html>"


#: A record as Europeana's own service gives it, shortened.
EUROPEANA = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:ore="http://www.openarchives.org/ore/terms/"
 xmlns:edm="http://www.europeana.eu/schemas/edm/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:dcterms="http://purl.org/dc/terms/" xmlns:skos="http://www.w3.org/2004/02/skos/core#">
<edm:ProvidedCHO rdf:about="/90402/SK_A_2344"/>
<edm:Agent rdf:about="http://d/agent/1"><skos:prefLabel xml:lang="en">Johannes Vermeer</skos:prefLabel>
 <skos:prefLabel xml:lang="fr">Jan Vermeer</skos:prefLabel></edm:Agent>
<skos:Concept rdf:about="http://d/concept/47"><skos:prefLabel xml:lang="nl">schilderij</skos:prefLabel>
 <skos:prefLabel xml:lang="en">painting</skos:prefLabel></skos:Concept>
<skos:Concept rdf:about="context_canvas"><skos:prefLabel>doek</skos:prefLabel></skos:Concept>
<ore:Aggregation rdf:about="/aggregation/provider/90402/SK_A_2344">
 <edm:aggregatedCHO rdf:resource="/90402/SK_A_2344"/><edm:isShownBy rdf:resource="https://m.org/a.jpg"/>
 <edm:rights rdf:resource="http://creativecommons.org/publicdomain/mark/1.0/"/></ore:Aggregation>
<ore:Proxy rdf:about="/proxy/europeana/90402/SK_A_2344"><edm:europeanaProxy>true</edm:europeanaProxy>
 <ore:proxyFor rdf:resource="/90402/SK_A_2344"/><dc:type>enriched</dc:type><dc:creator rdf:resource="http://d/agent/1"/>
</ore:Proxy>
<ore:Proxy rdf:about="/proxy/provider/90402/SK_A_2344"><edm:europeanaProxy>false</edm:europeanaProxy>
 <ore:proxyFor rdf:resource="/90402/SK_A_2344"/><dc:identifier>SK-A-2344</dc:identifier>
 <dc:title xml:lang="nl">Het melkmeisje</dc:title><dc:type rdf:resource="http://d/concept/47"/><dc:type>Image</dc:type>
 <dcterms:medium>context_canvas</dcterms:medium><edm:type>IMAGE</edm:type></ore:Proxy>
</rdf:RDF>"""


class TestEuropeana:
    def test_the_museum_s_proxy_describes_the_object(self) -> None:
        assert edm(EUROPEANA, "nl") == Metadata(
            identifier="SK-A-2344",
            creators=("Johannes Vermeer",),  # from Europeana's, since the museum's names none; there is no Dutch name
            types=("schilderij",),
            materials=("doek",),
            title="Het melkmeisje",
            rights="http://creativecommons.org/publicdomain/mark/1.0/",
            image="https://m.org/a.jpg",
        )
        assert edm(EUROPEANA, "en").types == ("painting",)
        assert edm(EUROPEANA, "fr").creators == ("Jan Vermeer",)

    def test_an_object_that_is_only_the_same_as_another_is_described_by_its_proxy(self) -> None:
        empty = '<edm:ProvidedCHO rdf:about="/90402/SK_A_2344"/>'
        same = f'{empty[:-2]}><owl:sameAs xmlns:owl="o" rdf:resource="u"/></edm:ProvidedCHO>'
        assert edm(EUROPEANA.replace(empty, same)) == edm(EUROPEANA)

    def test_without_proxies_that_say_anything_there_is_no_object(self) -> None:
        with pytest.raises(MetadataError, match="describes no object"):
            edm(re.sub(r"<ore:Proxy.*</ore:Proxy>", "", EUROPEANA, flags=re.DOTALL))


LIDO = """<lido:lido xmlns:lido="http://www.lido-schema.org" xmlns:skos="http://www.w3.org/2004/02/skos/core#"
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><lido:lidoRecID lido:type="local">rec-1</lido:lidoRecID>
<lido:descriptiveMetadata xml:lang="de">
<lido:objectClassificationWrap><lido:objectWorkTypeWrap><lido:objectWorkType>
  <lido:conceptID>http://vocab.getty.edu/aat/300033618</lido:conceptID><lido:term xml:lang="en">painting</lido:term>
  <lido:term lido:pref="alternate">Bild</lido:term><lido:term lido:pref="preferred">Gemälde</lido:term>
 </lido:objectWorkType></lido:objectWorkTypeWrap>
 <lido:classificationWrap><lido:classification><lido:term>IMAGE</lido:term></lido:classification></lido:classificationWrap>
</lido:objectClassificationWrap>
<lido:objectIdentificationWrap>
 <lido:titleWrap><lido:titleSet><lido:appellationValue>Auf der Hofjagd</lido:appellationValue></lido:titleSet>
 </lido:titleWrap>
 <lido:repositoryWrap><lido:repositorySet><lido:workID lido:type="inventory number">G 5442-2</lido:workID>
 </lido:repositorySet></lido:repositoryWrap>
 <lido:objectMaterialsTechWrap><lido:objectMaterialsTechSet><lido:materialsTech>
  <lido:termMaterialsTech lido:type="http://terminology.lido-schema.org/lido00132"><lido:term>Öl</lido:term></lido:termMaterialsTech>
  <lido:termMaterialsTech lido:type="http://terminology.lido-schema.org/lido00131"><lido:term>gemalt</lido:term>
  </lido:termMaterialsTech></lido:materialsTech></lido:objectMaterialsTechSet></lido:objectMaterialsTechWrap>
</lido:objectIdentificationWrap>
<lido:eventWrap>
 <lido:eventSet><lido:event><lido:eventType>
   <lido:conceptID lido:type="URI">http://terminology.lido-schema.org/lido00001</lido:conceptID><lido:term>Erwerb</lido:term>
  </lido:eventType><lido:eventActor><lido:actorInRole><lido:actor><lido:nameActorSet>
   <lido:appellationValue>Ein Händler</lido:appellationValue></lido:nameActorSet></lido:actor></lido:actorInRole>
  </lido:eventActor></lido:event></lido:eventSet>
 <lido:eventSet><lido:event><lido:eventType>
   <skos:Concept rdf:about="http://terminology.lido-schema.org/lido00012">
    <skos:prefLabel xml:lang="en">Creation</skos:prefLabel>
   </skos:Concept></lido:eventType>
  <lido:eventActor><lido:actorInRole><lido:actor><lido:nameActorSet>
    <lido:appellationValue lido:pref="alternative">Marées</lido:appellationValue>
    <lido:appellationValue lido:pref="preferred">Marées, Hans von</lido:appellationValue>
    </lido:nameActorSet></lido:actor>
   <lido:roleActor><lido:term>Maler</lido:term></lido:roleActor></lido:actorInRole></lido:eventActor>
  <lido:eventActor><lido:displayActorInRole>Werkstatt von Anders</lido:displayActorInRole><lido:actorInRole><lido:actor>
    <lido:nameActorSet><lido:appellationValue>Anders, Karl</lido:appellationValue></lido:nameActorSet></lido:actor>
   <lido:roleActor><lido:term>Maler</lido:term></lido:roleActor>
   <lido:attributionQualifierActor>Werkstatt von</lido:attributionQualifierActor></lido:actorInRole></lido:eventActor>
  <lido:eventMaterialsTech><lido:materialsTech><lido:termMaterialsTech lido:type="material">
   <lido:term>Leinwand</lido:term>
   </lido:termMaterialsTech></lido:materialsTech></lido:eventMaterialsTech>
 </lido:event></lido:eventSet></lido:eventWrap>
</lido:descriptiveMetadata>
<lido:administrativeMetadata xml:lang="de"><lido:resourceWrap>
 <lido:resourceSet><lido:resourceRepresentation lido:type="http://terminology.lido-schema.org/lido00466">
   <lido:linkResource>https://m.org/film.mp4</lido:linkResource></lido:resourceRepresentation></lido:resourceSet>
 <lido:resourceSet>
  <lido:resourceRepresentation lido:type="image_thumb"><lido:linkResource>https://m.org/small.jpg</lido:linkResource>
  </lido:resourceRepresentation>
  <lido:resourceRepresentation lido:type="image_master"><lido:linkResource>https://m.org/large.jpg</lido:linkResource>
  </lido:resourceRepresentation>
  <lido:rightsResource><lido:rightsType><lido:conceptID>http://creativecommons.org/publicdomain/zero/1.0/</lido:conceptID>
   <lido:term>gemeinfrei</lido:term></lido:rightsType></lido:rightsResource></lido:resourceSet>
</lido:resourceWrap></lido:administrativeMetadata></lido:lido>"""


def lido(xml: str = LIDO, language: str = "de", kind: AddressKind = "url") -> Metadata:
    return parse(xml.encode(), "lido", language, kind)


class TestLido:
    def test_fields(self) -> None:
        assert lido() == Metadata(
            identifier="G 5442-2",
            creators=("Maler: Marées, Hans von", "Werkstatt von: Anders, Karl"),
            types=("Gemälde",),
            materials=("Öl", "Leinwand"),
            title="Auf der Hofjagd",
            rights="http://creativecommons.org/publicdomain/zero/1.0/",
            image="https://m.org/large.jpg",
        )
        assert lido(language="en").types == ("painting",)

    def test_what_a_maker_s_role_leaves_of_it(self) -> None:
        counts = dict.fromkeys(lido().creators, 1)
        assert roles(counts) == {"Maler: Marées, Hans von": "Marées, Hans von", "Werkstatt von: Anders, Karl": ""}

    @pytest.mark.parametrize(
        ("event", "made"), [("Herstellung", True), ("Entwurf", True), ("production", True), ("Reproduktion", False),
                            ("Reproduction", False), ("Wiederherstellung", False), ("Fund", False)],
    )  # fmt: skip
    def test_whoever_made_it_is_its_maker(self, event: str, made: bool) -> None:
        _, kind = re.findall(r"<lido:eventType>.*?</lido:eventType>", LIDO, re.DOTALL)
        said = LIDO.replace(kind, f"<lido:eventType><lido:term>{event}</lido:term></lido:eventType>")
        assert ("Maler: Marées, Hans von" in lido(said).creators) == made

    def test_wrapped_and_without_namespaces(self) -> None:
        plain = re.sub(r"(</?)\w+:", r"\1", re.sub(r' (?:xmlns:\w+|rdf:\w+)="[^"]*"', "", LIDO)).replace("lido:", "")
        assert lido(f"<lidoWrap>{plain}</lidoWrap>").materials == lido().materials
        assert lido(f"<lidoWrap>{plain}</lidoWrap>").image == lido().image

    def test_without_terms_the_words_for_display_are_the_material(self) -> None:
        said = "<lido:displayMaterialsTech>Öl auf Leinwand</lido:displayMaterialsTech>"
        sets = re.sub(r"<lido:(materialsTech)>.*?</lido:\1>", said, LIDO, flags=re.DOTALL)
        assert lido(sets).materials == ("Öl auf Leinwand",)

    @pytest.mark.parametrize("kind", ["iiif", "manifest"])
    def test_the_picture_is_what_download_says(self, kind: AddressKind) -> None:
        address = {"iiif": "https://m.org/iiif/1/info.json", "manifest": "https://m.org/1/manifest"}[kind]
        link = f"<lido:linkResource>{address}</lido:linkResource>"
        more = f"<lido:resourceRepresentation>{link}</lido:resourceRepresentation>"
        first = '<lido:resourceRepresentation lido:type="image_thumb">'
        assert lido(LIDO.replace(first, more + first), kind=kind).image == address

    def test_a_record_that_describes_nothing(self) -> None:
        with pytest.raises(MetadataError, match="no lido:descriptiveMetadata"):
            lido("<lido><lidoRecID>1</lidoRecID></lido>")
