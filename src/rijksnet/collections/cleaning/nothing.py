"""The rule `nothing`: values that say that there is no value, as databases, spreadsheets and people write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rijksnet.collections.cleaning.phrases import phrases
from rijksnet.collections.cleaning.values import words

if TYPE_CHECKING:
    from rijksnet.collections.cleaning.values import Changes, Counts

#: In Dutch, English, German, French, Spanish, Italian and Portuguese; as `phrases` are written. Words that also name
#: something are none of these: leer is leather in Dutch, a blank an unstruck coin.
SAYS_NOTHING = phrases("""
    null, none, nil, nan, na, n a, nvt, n v t, tbd, tbc, nd, n d, s d, k a, leeg,
    ref, n a n, undefined, todo,
    onbekend, onbekende, niet bekend, niet van toepassing, niet ingevuld, niet gespecificeerd, niet vastgesteld,
    niet geregistreerd, geen, geen gegevens, nader te bepalen, onbepaald, materiaal onbekend, onbekend materiaal,
    unknown, not known, not applicable, not recorded, not specified, not stated, not available, not determined,
    not given, no data, unspecified, undetermined, unidentified, to be determined, to be confirmed,
    material unknown, unknown material, unknown type, type unknown,
    unbekannt, nicht bekannt, nicht zutreffend, nicht angegeben, nicht erfasst, nicht bestimmt, nicht vorhanden,
    unbestimmt, keine, keine angabe, keine angaben, ohne angabe, material unbekannt, unbekanntes material,
    inconnu, inconnue, non connu, non applicable, non renseigne, non renseignee, non determine, non determinee,
    non precise, indetermine, indeterminee, sans objet, aucun, aucune, matiere inconnue, materiau inconnu,
    desconocido, desconocida, no aplica, no aplicable, no especificado, no determinado, no consta, indeterminado,
    sin datos, sin especificar, sin determinar, ninguno, ninguna, material desconocido,
    sconosciuto, sconosciuta, ignoto, ignota, non applicabile, non specificato, non determinato, non rilevato,
    indeterminato, nessuno, nessuna, materiale sconosciuto,
    desconhecido, desconhecida, nao aplicavel, nao se aplica, nao especificado, nao determinado, sem dados, nenhum,
    nenhuma,
""")


def nothing(counts: Counts) -> Changes:
    """Values that say that there is none are dropped: NULL, n/a, nan, –, #REF!, onbekend, niet van toepassing.

    The whole value must say so: "onbekend hout" is wood, and a value of letters in any script says something.
    """
    return {value: "" for value in counts if value and says_nothing(value)}


def says_nothing(value: str) -> bool:
    said = words(value)
    return " ".join(said) in SAYS_NOTHING or not any(letter.isalnum() for letter in value)
