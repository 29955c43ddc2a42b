"""What the passages of the closed-QA task are made of: invented places, and what is said of them.

A phrase with ``{}`` says one fact; the place itself is "it" in every phrase, and named once in
the opening sentence. Phrases stand without capital and full stop; the generator dresses them.
No run of eight words stands between two values, so two passages hardly ever share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


def _phrases(text: str) -> tuple[str, ...]:
    """The phrases of ``text``, which semicolons separate."""
    return tuple(" ".join(phrase.split()) for phrase in text.split(";"))


@dataclass(frozen=True, slots=True)
class Topic:
    """One kind of fact: what says it of the place, what asks for it, and what says the like of
    something nearby."""

    statements: tuple[str, ...]
    questions: tuple[str, ...]
    elsewhere: tuple[str, ...]


TOPICS: Final[dict[str, Topic]] = {
    "opening": Topic(
        _phrases("""it opens at {}; the doors open at {}; they open at {}; opening is at {};
            opening time is {}"""),
        _phrases("""When does it open?; At what time does it open?; What is the opening time?"""),
        _phrases("the cafe opposite opens at {}; the shop nearby opens at {}"),
    ),
    "closing": Topic(
        _phrases("""it closes at {}; the doors close at {}; they close at {}; closing is at {};
            closing time is {}"""),
        _phrases("""When does it close?; At what time does it close?; What is the closing time?"""),
        _phrases("the cafe opposite closes at {}; the shop nearby shuts at {}"),
    ),
    "street": Topic(
        _phrases("""it stands on {}; you find it on {}; the entrance is on {}; its address is {};
            look for the green door on {}"""),
        _phrases("""Where is it?; Which street is it on?; What is the address?"""),
        _phrases("the car park is on {}; the nearest bank is on {}"),
    ),
    "price": Topic(
        _phrases("""a ticket costs {}; visitors pay {}; admission is {}; entry costs {};
            the price is {}"""),
        _phrases("""What does a ticket cost?; How much is admission?; What is the price?"""),
        _phrases("lunch next door costs {}; parking nearby costs {}"),
    ),
    "manager": Topic(
        _phrases("""{} runs it; the manager is {}; {} is in charge; {} leads the small team;
            {} looks after everything"""),
        _phrases("""Who runs it?; Who is in charge?; What is the manager's name?"""),
        _phrases("{} runs the cafe opposite; {} owns the shop nearby"),
    ),
    "day off": Topic(
        _phrases("""it is closed on {}; on {} it stays closed; they are closed on {};
            the day off is {}; {} is the day off"""),
        _phrases("""On which day is it closed?; Which day is it closed?; When is the day off?"""),
        _phrases("the cafe opposite rests on {}; the shop nearby is closed on {}"),
    ),
    "seats": Topic(
        _phrases("""there is room for {} people; it seats {} people; up to {} people fit in;
            it has seats for {} people; it holds {} people"""),
        _phrases("""How many people fit in?; How many people is there room for?;
            How many people does it hold?"""),
        _phrases("the cafe opposite seats {} people; the hall nearby holds {} people"),
    ),
    "year": Topic(
        _phrases("""it was founded in {}; it dates from {}; it was built in {};
            it has been there since {}; its first year was {}"""),
        _phrases("""When was it founded?; When was it built?; In which year was it built?"""),
        _phrases("the church nearby dates from {}; the town hall was built in {}"),
    ),
    "bus": Topic(
        _phrases("""bus {} stops outside; take bus {} to get there; bus {} goes there;
            the nearest stop is that of bus {}; you can ride bus {}"""),
        _phrases("""Which bus goes there?; What bus can I take?; Which bus stops there?"""),
        _phrases("bus {} does not stop there; bus {} no longer runs"),
    ),
}

KINDS: Final = _phrases("""museum; library; cinema; gallery; theatre; pool; archive; workshop;
    garden; bakery; bookshop; observatory""")

NAMES: Final = _phrases("""Larkspur; Quillhaven; Bramblewick; Osterley; Tamsin; Fernbrook;
    Harrowgate; Winterbourne; Copperfield; Saltmarsh; Redwing; Thistledown; Applegarth; Moorcroft;
    Kestrel; Silverton; Dunmore; Ashgrove; Pemberly; Hollowell; Foxglove; Eastmere; Rookwood;
    Stonebridge""")

STREETS: Final = _phrases("""Mill; Abbey; Station; Harbour; Orchard; Church; Castle; River;
    Market; Forest; Tower; Garden; King; Queen; Bridge; School; Maple; Cherry""")
STREET_ENDS: Final = _phrases("Street; Road; Lane; Square")

FIRST_NAMES: Final = _phrases("""Petra; Jonas; Amara; Felix; Ingrid; Thomas; Laura; Oscar; Nadia;
    Paul; Greta; Simon; Maria; Clara; Martin; Helen; Bruno; Emma""")
LAST_NAMES: Final = _phrases("""Lind; Okafor; Novak; Fischer; Moreau; Costa; Berg; Tanaka; Walsh;
    Petrov; Silva; Marsh; Keller; Dunn; Ferrari; Hale; Olsen; Quinn""")

DAYS: Final = _phrases("Monday; Tuesday; Wednesday; Thursday; Friday; Saturday; Sunday")

INTRODUCTIONS: Final = _phrases("""the {} is worth a visit; everybody likes the {};
    this is about the {}; here is the {}; welcome to the {}; the {} is small; many know the {};
    few people know the {}""")

ASIDES: Final = _phrases("""children like it; dogs are welcome; the staff are friendly;
    there is a nice view; parking is difficult; the tea is good; it can get loud; bring a coat;
    the walls are blue; photographs are allowed; a cat lives there; it smells of wood""")
