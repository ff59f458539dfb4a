"""What the drawn museums hold: materials, makers, and how often what occurs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rijksnet.miniature.brushes import Ground
from rijksnet.miniature.snapshots import SURFACES, THINGS

if TYPE_CHECKING:
    from rijksnet.miniature.brushes import Colour

# --- materials -----------------------------------------------------------------------------------------------------

GROUNDS = {
    "papier": Ground((226, 216, 192), spread=0.05, mottle=0.02, grain=0.03, weft=0.035),
    "perkament": Ground((218, 198, 158), spread=0.05, mottle=0.07, grain=0.02),
    "doek": Ground((190, 168, 134), spread=0.06, grain=0.03, warp=0.13, weft=0.13),
    "hout": Ground((146, 98, 60), spread=0.09, mottle=0.05, grain=0.16, stretch=14),
    "porselein": Ground((232, 236, 238), spread=0.02, mottle=0.01, gloss=0.5),
    "aardewerk": Ground((196, 128, 92), spread=0.08, mottle=0.05, grain=0.1),
    "zilver": Ground((168, 172, 178), spread=0.03, sheen=0.3),
    "brons": Ground((132, 98, 58), spread=0.08, mottle=0.06, sheen=0.28),
    "ivoor": Ground((234, 224, 200), spread=0.04, mottle=0.02, grain=0.03, stretch=10, gloss=0.25),
    "glas": Ground((150, 196, 186), spread=0.08, mottle=0.03, gloss=0.9, opacity=0.6),
    "zijde": Ground((206, 184, 170), spread=0.09, grain=0.02, warp=0.05, sheen=0.1),
    "goud": Ground((214, 170, 60), spread=0.04, sheen=0.3),
    "lak": Ground((70, 22, 20), spread=0.1, gloss=0.9),
    "leer": Ground((110, 66, 40), spread=0.1, mottle=0.12, grain=0.08),
}

#: Which materials a type of object is made of, and how often (relative).
MATERIALS: dict[str, dict[str, float]] = {
    "prent": {"papier": 8, "perkament": 2, "zijde": 1},
    "tekening": {"papier": 6, "perkament": 4},
    "schilderij": {"doek": 6, "hout": 3, "ivoor": 1},
    "boek": {"papier": 5, "perkament": 5},
    "kaart": {"papier": 6, "perkament": 3, "zijde": 1},
    "penning": {"zilver": 4, "brons": 5, "ivoor": 1},
    "bord": {"porselein": 6, "aardewerk": 3, "zilver": 2},
    "tegel": {"aardewerk": 7, "porselein": 3},
    "vaas": {"porselein": 5, "aardewerk": 3, "glas": 3, "brons": 1},
    "beeld": {"hout": 4, "brons": 3, "ivoor": 3, "aardewerk": 2, "porselein": 1},
    "meubel": {"hout": 9, "zilver": 1},
    "waaier": {"zijde": 4, "papier": 3, "ivoor": 3},
    "affiche": {"papier": 1},
    "handschrift": {"papier": 1, "perkament": 2},
    "drukblok": {"hout": 8, "brons": 2},
    "textiel": {"zijde": 5, "doek": 5},
    "kant": {"zijde": 3, "doek": 7},
    "exlibris": {"papier": 9, "perkament": 1},
    "globe": {"papier": 1},
    "zonnewijzer": {"brons": 1},
    "kamerscherm": {"zijde": 1},
}

#: Materials of rims and mounts.
RIMS = ("hout", "zilver", "brons", "papier", "leer")

# --- makers ----------------------------------------------------------------------------------------------------

#: Made-up names, from the most to the least prolific.
SOURCE_ARTISTS = (
    "Inktvis, Joris", "Pennestreek, Anna", "Krasser, Maria", "Kwastenburg, Pieter", "Lijntrekker, Cornelis",
    "Houtsnee, Griet", "Etsnaald, Willem", "Verfpot, Hendrik", "Lakmoes, Saskia", "Krijtberg, Elske",
    "Vlekman, Teun", "Arceerder, Balthasar", "Puntstip, Lysbeth", "Golvering, Adriaan", "Schetsveld, Machteld",
    "Zwartkoper, Gillis", "Burijn, Aleida", "Houtskool, Reinier", "Goudlijst, Petronella", "Vernisse, Floris",
)  # fmt: skip
TARGET_ARTISTS = (
    "Drukinckt, Balten", "Letterkast, Jozefien", "Persboom, Marcus", "Kopergroen, Livina", "Zetspiegel, Amandus",
    "Vlasdraad, Godelieve", "Kleurkrijt, Servaas", "Steendruk, Octavie", "Bladgoud, Rombout", "Scheldemond, Tanneke",
    "Zeefdruk, Leontine", "Perkamens, Ghislain",
)  # fmt: skip
#: A pupil draws much like the master.
PUPILS = {
    "Lakmoes, Saskia": "Inktvis, Joris",
    "Vlekman, Teun": "Pennestreek, Anna",
    "Schetsveld, Machteld": "Krasser, Maria",
    "Persboom, Marcus": "Drukinckt, Balten",
    "Vlasdraad, Godelieve": "Letterkast, Jozefien",
    "Bladgoud, Rombout": "Kopergroen, Livina",
}

#: Rare materials (too few objects to occur in all three splits): the type that is made of it, and of how many objects.
RARE_MATERIALS = {"goud": ("penning", 2), "lak": ("vaas", 1), "leer": ("boek", 2)}

#: Second values of `type`, for some objects of the first.
ALSO = {"prent": "boekillustratie", "tekening": "schets"}


@dataclass(frozen=True)
class World:
    """What one miniature collection holds, and how it is photographed."""

    number: int  # sets its random numbers apart from the other worlds'
    prefix: str  # of object ids
    types: dict[str, float]  # relative frequencies
    rare_types: dict[str, int]  # numbers of objects: too few to occur in all three splits
    artists: tuple[str, ...]
    rare_artists: dict[str, int]  # numbers of objects
    backdrops: tuple[Colour, ...]
    light: Colour  # 255 leaves a channel as it is
    bleach: float  # brightness of the grounds, 1 leaves them as they are


WORLDS = {
    "rijksmuseum": World(
        number=1,
        prefix="MR",
        types={
            "prent": 30, "tekening": 15, "schilderij": 10, "boek": 8, "penning": 7, "vaas": 6, "kaart": 5,
            "bord": 5, "beeld": 4, "tegel": 4, "meubel": 3, "waaier": 3,
        },
        rare_types={"globe": 2, "kamerscherm": 1},
        artists=SOURCE_ARTISTS,
        rare_artists={"Zegelring, Clara": 2, "Waterverf, Lodewijk": 1},
        backdrops=((70, 72, 76), (112, 110, 106), (40, 42, 46)),
        light=(255, 252, 244),
        bleach=1.0,
    ),
    "antwerp": World(
        number=2,
        prefix="MA",
        types={
            "prent": 20, "affiche": 13, "boek": 11, "tekening": 10, "handschrift": 9, "drukblok": 8, "penning": 8,
            "textiel": 6, "schilderij": 5, "kant": 5, "exlibris": 5,
        },
        rare_types={"kaart": 2, "zonnewijzer": 1},
        artists=TARGET_ARTISTS,
        rare_artists={"Linosnee, Wannes": 2, "Kantklos, Barbara": 1},
        backdrops=((196, 200, 206), (224, 222, 216), (150, 158, 172)),
        light=(255, 244, 222),
        bleach=0.92,
    ),
    "photographs": World(
        number=3,
        prefix="MP",
        types=dict.fromkeys([*THINGS, *SURFACES], 1.0),
        rare_types={},
        artists=(),
        rare_artists={},
        backdrops=(),
        light=(255, 255, 255),
        bleach=1.0,
    ),
}  # fmt: skip
