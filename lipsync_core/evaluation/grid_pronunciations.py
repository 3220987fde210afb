"""How the words of the GRID corpus are said: British English, in ARPAbet without stress marks.

GRID's sentences are "command colour preposition letter digit adverb" (Cooke, Barker, Cunningham and
Shao 2006): 51 words, among them the letters but W. The speakers are from England: Z is "zed", the
letter R has no r, FOUR ends in its vowel.
"""

_COMMANDS = "bin=b ih n; lay=l ey; place=p l ey s; set=s eh t"
_COLOURS = "blue=b l uw; green=g r iy n; red=r eh d; white=w ay t"
_PREPOSITIONS = "at=ae t; by=b ay; in=ih n; with=w ih dh"
_LETTERS = (
    "a=ey; b=b iy; c=s iy; d=d iy; e=iy; f=eh f; g=jh iy; h=ey ch; i=ay; j=jh ey; k=k ey; l=eh l; "
    "m=eh m; n=eh n; o=ow; p=p iy; q=k y uw; r=aa; s=eh s; t=t iy; u=y uw; v=v iy; x=eh k s; "
    "y=w ay; z=z eh d"
)
_DIGITS = (
    "zero=z ih r ow; one=w ah n; two=t uw; three=th r iy; four=f ao; five=f ay v; six=s ih k s; "
    "seven=s eh v ah n; eight=ey t; nine=n ay n"
)
_ADVERBS = "again=ah g eh n; now=n aw; please=p l iy z; soon=s uw n"


def _table(*parts: str) -> dict[str, tuple[str, ...]]:
    entries = (entry.split("=") for part in parts for entry in part.split(";"))
    return {word.strip(): tuple(phones.split()) for word, phones in entries}


GRID_PRONUNCIATIONS = _table(_COMMANDS, _COLOURS, _PREPOSITIONS, _LETTERS, _DIGITS, _ADVERBS)
"""word -> phones, all 51."""
