"""Which column of a table is which, as far as its name and its values tell: a proposal that a person looks at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rijksnet.collections.cleaning.values import words
from rijksnet.collections.tables.columns import loosely
from rijksnet.collections.tables.reader import is_web_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from rijksnet.starting.peek import Peeked


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in " ".join(text.split()).strip(",").split(","))


#: What columns are called in Dutch, English, German, French, Spanish and Italian, and in exports of Adlib, TMS,
#: MuseumPlus and Spectrum; the likeliest first. Small letters, no accents, other signs as blanks.
NAMES: dict[str, tuple[str, ...]] = {
    "object_id": _names("""
        object id, objectid, object number, objectnumber, objectnummer, object nummer, inventory number,
        inventarisnummer, inventaris nummer, inventarnummer, inventar nr, inv nr, inv no, invnr, accession number,
        accession no, accession, identification number, identnr, identnummer, signatur, numero d inventaire, no d
        inventaire, n inventaire, inventaire, numero inventario, numero de inventario, n inventario, numero di
        inventario, inventario, identifier, dc identifier, id, priref, record id, reference, ref, number, nummer,
        numero,
    """),
    "image": _names("""
        image file, image filename, filename, file name, bestandsnaam, bestand, afbeelding, afbeeldingen, image,
        images, image url, imageurl, primary image, primaryimage, iiif, iiif manifest, manifest, foto, photo,
        picture, bild, bilder, bilddatei, dateiname, datei, abbildung, fichier, nom du fichier, nom fichier,
        photographie, imagen, fotografia, archivo, fichero, immagine, file immagine, reproduction reference,
        reproductie referentie, media reference, media, file, url,
    """),
    "creator": _names("""
        maker, makers, artist, artist name, artist display name, artistdisplayname, creator, creators,
        vervaardiger, vervaardiger naam, kunstenaar, maker naam, hersteller, kunstler, kuenstler, urheber,
        artiste, auteur, createur, fabricant, artista, autor, creador, autore, creatore, displayname, constituent,
        production maker, dc creator, author,
    """),
    "type": _names("""
        object type, objecttype, object name, objectname, objectnaam, object naam, type, kind, soort, objektart,
        objektbezeichnung, objekttyp, sachbegriff, sachgruppe, gattung, bezeichnung, type d objet, type objet,
        designation, denomination, tipo, tipo de objeto, denominacion, tipologia, tipo di oggetto, definizione,
        oggetto, work type, worktype, classification, dc type, category,
    """),
    "material": _names("""
        material, materials, materiaal, materialen, medium, material technik, material und technik, materiaal
        techniek, materialien, materiau, materiaux, matiere, matieres, materiaux techniques, materia, materias,
        materiales, materiale, materiali, materia e tecnica, materia y tecnica, werkstoff, werkstoffe, materialangabe,
        medium and support, dimensions
        material, dcterms medium, format,
    """),
    "title": _names("""
        title, titel, titre, titulo, titolo, object title, objecttitle, dc title, name, naam,
    """),
    "rights": _names("""
        rights, rights statement, rightsstatement, licence, license, lizenz, rechten, rechte, droits, derechos,
        diritti, copyright, copyright status, dc rights, edm rights,
    """),
}

#: Words by which values name image files.
IMAGE_NAME = re.compile(r"\.(?:jpe?g|png|tiff?|jp2|gif|webp|bmp|heic|avif)$", re.IGNORECASE)

#: Shares of a column's values that have to be what it is proposed for.
MOSTLY, NEARLY_ALL = 0.5, 0.9


def propose(peeked: Peeked, is_file: Callable[[str], bool]) -> dict[str, str]:
    """Columns by field of `Columns`, those that were found.

    Args:
        is_file: whether a value names one of the images.
    """
    found: dict[str, str] = {}
    image = _image(peeked, is_file)
    if image:
        found["image"] = image
    for field, names in NAMES.items():
        left = [column for column in peeked.header if column not in found.values()]
        if field != "image" and (column := _named(left, names)):
            found[field] = column
    if "object_id" not in found:
        left = [column for column in peeked.header if column not in found.values()]
        distinct = [column for column in left if _is_distinct(peeked, column)]
        if distinct:
            found["object_id"] = distinct[0]
    return {field: found[field] for field in NAMES if field in found}


def _named(columns: list[str], names: tuple[str, ...]) -> str:
    """The column called by the likeliest of some names: by all of it, or by its last part (`production.maker`)."""
    plain = {column: _plainly(column) for column in columns}
    for name in names:
        for column, said in plain.items():
            if said == name:
                return column
    for name in names:
        for column, said in plain.items():
            if said.endswith(f" {name}") or said.startswith(f"{name} "):
                return column
    return ""


def _plainly(column: str) -> str:
    return " ".join(
        words(re.sub(r"[_.:/\-]+|(?<=[a-z])(?=[A-Z])", " ", loosely(column) if column.isupper() else column))
    )


def _image(peeked: Peeked, is_file: Callable[[str], bool]) -> str:
    """The column whose values name images: files that are there, names of image files, or addresses."""
    best = ("", 0.0)
    called = _named(peeked.header, NAMES["image"])
    for column in peeked.header:
        values = peeked.values(column)
        if not values:
            continue
        share = sum(map(is_file, values)) / len(values)
        share = max(share, 0.9 * sum(bool(IMAGE_NAME.search(value)) for value in values) / len(values))
        if column == called:
            share = max(share + 0.05, 0.9 * sum(map(is_web_address, values)) / len(values))
        if share >= MOSTLY and share > best[1]:
            best = column, share
    return best[0]


def _is_distinct(peeked: Peeked, column: str) -> bool:
    values = peeked.values(column)
    return len(values) == len(peeked.rows) and len(set(values)) >= NEARLY_ALL * len(values)
