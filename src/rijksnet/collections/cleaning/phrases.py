"""What museums write around or in place of a maker's name: small letters, no accents, punctuation as a space."""

from __future__ import annotations


def phrases(text: str) -> frozenset[str]:
    """Those between the commas of a text of several lines."""
    return frozenset(phrase.strip() for line in text.strip().splitlines() for phrase in line.strip(" ,").split(","))


#: The object is by this maker, or is held to be. In Dutch, English, German and French, as all up to `TRADES`.
THIS_HAND = phrases("""
    toegeschreven aan, toegeschreven, vermoedelijk, waarschijnlijk,
    attributed to, attributed by, attributed, ascribed to, presumably, probably,
    zugeschrieben, vermutlich, wahrscheinlich,
    attribue a, attribuee a, attribue, probablement,
""")

#: It is not, or the museum does not say so (possibly), or no longer (formerly attributed to).
OTHER_HAND = phrases("""
    naar, vrij naar, kopie naar, copie naar, kopie van, omgeving van, naaste omgeving van, kring van, school van,
    navolger van, volger van, atelier van, werkplaats van, leerling van, imitator van, imitatie van,
    trant van, in de trant van, stijl van, in de stijl van, manier van, in de manier van,
    mogelijk, wellicht, misschien, voorheen, afgewezen toeschrijving, verworpen toeschrijving,
    after, copy after, copy of, circle of, close circle of, follower of, school of, workshop of, studio of,
    pupil of, student of, imitator of, manner of, in the manner of, style of, in the style of,
    possibly, perhaps, maybe, formerly, formerly attributed to, rejected attribution,
    nach, kopie nach, umkreis, umkreis von, umkreis des, nachfolger, nachfolger von, nachfolger des,
    schule von, schule des, werkstatt von, werkstatt des, schuler von, schuler des, nachahmer von, nachahmer des,
    art von, art des, in der art von, in der art des, stil von, im stil von, manier des,
    moglicherweise, vielleicht, ehemals, ehemals zugeschrieben, fruher zugeschrieben,
    d apres, copie d apres, entourage de, cercle de, suiveur de, ecole de, atelier de, atelier du, eleve de,
    imitateur de, maniere de, a la maniere de, dans le style de, style de,
    peut etre, anciennement, anciennement attribue a,
""")

#: The same as it may stand in brackets after a name: "Ramberg, Johann Heinrich (atelier)".
OTHER_HAND_IN_BRACKETS = OTHER_HAND | phrases("""
    kopie, omgeving, kring, school, navolger, volger, atelier, werkplaats, leerling, trant, stijl, manier,
    copy, circle, follower, workshop, studio, pupil, manner, style, formerly attributed,
    schule, werkstatt, schuler, nachahmer, copie, entourage, cercle, suiveur, ecole, eleve, maniere,
""")

#: Where the name was read, which says nothing about the hand.
INSCRIPTION = phrases("""
    vermeld op object, vermeld op het object, gesigneerd, gesigneerd door kunstenaar, eigenhandig,
    mentioned on object, mentioned on the object, indicated on object, signed, signed by artist, autograph,
    signiert, signe,
""")

#: Words for those who make things.
TRADES = phrases("""
    prentmaker, graveur, etser, houtsnijder, lithograaf, tekenaar, schilder, fotograaf, beeldhouwer, medailleur,
    zilversmid, goudsmid, edelsmid, uitgever, drukker, ontwerper, vervaardiger, vervaardigers, kunstenaar, kunstenaars,
    maker, makers, meester, meesters, modelleur, cartograaf, schrijver, auteur,
    printmaker, print, engraver, etcher, lithographer, draughtsman, draftsman, painter, photographer, sculptor,
    medallist, silversmith, goldsmith, publisher, printer, designer, manufacturer, artist, artists, author, master,
    masters, kunstler, maler, zeichner, stecher, kupferstecher, radierer, lithograf, lithograph, fotograf, bildhauer,
    goldschmied, silberschmied, verleger, drucker, entwerfer, hersteller, meister,
    artiste, artistes, peintre, dessinateur, lithographe, photographe, sculpteur, orfevre, editeur, imprimeur, maitre,
    artista, artisti, autore, autori, autor, autores, pittore, incisore, pintor, maestro,
""")

#: Words that say that nobody is named; Italian, Spanish, Portuguese and Latin as well.
NOBODY = phrases("""
    anoniem, anonieme, onbekend, onbekende, diverse, diversen, anonymous, unknown, unidentified, various,
    anonym, anonymer, unbekannt, unbekannter, verschiedene, anonyme, inconnu, inconnue, divers,
    anonimo, anonima, ignoto, sconosciuto, vari, desconocido, desconhecido, varios, anonymus, ignotus, incognitus,
""")

#: As a whole value, in lower case; initials such as "S.N." may be a monogram.
NOT_APPLICABLE = frozenset({"niet van toepassing", "n.v.t.", "nvt", "not applicable", "n/a", "[s.n.]"})
