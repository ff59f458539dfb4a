"""Columns are known by what museums call them, and by what stands in them."""

from __future__ import annotations

import pytest

from rijksnet.starting.guess import NAMES, propose
from rijksnet.starting.peek import Peeked


def table(header: list[str], *rows: list[str]) -> Peeked:
    return Peeked(None, None, None, header, [dict(zip(header, row, strict=True)) for row in rows], "")


NOTHING = ["x"] * 7


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (
            ["objectnummer", "bestand", "vervaardiger", "objectnaam", "materiaal", "titel", "rechten"],
            ["objectnummer", "bestand", "vervaardiger", "objectnaam", "materiaal", "titel", "rechten"],
        ),
        (
            ["Inventarnummer", "Dateiname", "Künstler", "Objektbezeichnung", "Material/Technik", "Titel", "Lizenz"],
            ["Inventarnummer", "Dateiname", "Künstler", "Objektbezeichnung", "Material/Technik", "Titel", "Lizenz"],
        ),
        (
            ["Inventarnummer", "Bilddatei", "Künstler", "Objekttyp", "Werkstoff", "Titel", "Rechte"],
            ["Inventarnummer", "Bilddatei", "Künstler", "Objekttyp", "Werkstoff", "Titel", "Rechte"],
        ),
        (
            ["N° d’inventaire", "Nom du fichier", "Auteur", "Dénomination", "Matériaux", "Titre", "Droits"],
            ["N° d’inventaire", "Nom du fichier", "Auteur", "Dénomination", "Matériaux", "Titre", "Droits"],
        ),
        (
            ["Número de inventario", "Imagen", "Autor", "Tipo de objeto", "Materiales", "Título", "Derechos"],
            ["Número de inventario", "Imagen", "Autor", "Tipo de objeto", "Materiales", "Título", "Derechos"],
        ),
        (
            ["Numero di inventario", "Immagine", "Autore", "Tipo di oggetto", "Materia e tecnica", "Titolo", "Diritti"],
            ["Numero di inventario", "Immagine", "Autore", "Tipo di oggetto", "Materia e tecnica", "Titolo", "Diritti"],
        ),
        (
            ["ObjectNumber", "PrimaryImage", "ArtistDisplayName", "ObjectName", "Medium", "Title", "Rights"],  # TMS
            ["ObjectNumber", "PrimaryImage", "ArtistDisplayName", "ObjectName", "Medium", "Title", "Rights"],
        ),
        (
            [
                "object_number",
                "reproduction.reference",
                "production.maker",
                "object_name",
                "material",
                "title",
                "rights",
            ],
            [
                "object_number",
                "reproduction.reference",
                "production.maker",
                "object_name",
                "material",
                "title",
                "rights",
            ],
        ),
    ],
)
def test_columns_are_known_by_name(header: list[str], found: list[str]) -> None:
    row = ["1", "a.jpg", *NOTHING[2:]]
    assert list(propose(table(header, row), lambda value: False).values()) == found


def test_an_image_column_is_known_by_what_stands_in_it() -> None:
    seen = table(["nr", "kolom 2", "foto"], ["1", "img/a.jpg", "ja"], ["2", "img/b.jpg", "nee"])
    assert propose(seen, lambda value: False)["image"] == "kolom 2"
    without_endings = table(["nr", "kolom 2", "foto"], ["1", "a", "ja"], ["2", "b", "nee"])
    assert propose(without_endings, {"a", "b"}.__contains__)["image"] == "kolom 2"
    addresses = table(["nr", "page", "iiif"], *([str(i), f"https://m.org/{i}", f"https://i.org/{i}"] for i in range(3)))
    assert propose(addresses, lambda value: False)["image"] == "iiif"


def test_an_id_without_a_known_name_is_the_first_column_of_distinct_values() -> None:
    seen = table(["soort", "kenmerk", "foto"], ["prent", "A-1", "a.jpg"], ["prent", "A-2", "b.jpg"])
    assert propose(seen, lambda value: False) == {"object_id": "kenmerk", "image": "foto", "type": "soort"}


def test_what_is_not_there_is_not_proposed() -> None:
    assert propose(table(["a", "b"], ["x", "y"], ["x", "y"]), lambda value: False) == {}


def test_no_name_stands_for_two_things() -> None:
    names = [name for of_field in NAMES.values() for name in of_field]
    assert len(set(names)) == len(names)
