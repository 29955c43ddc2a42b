"""What the passages of the closed-QA task are made of: invented places, and what is said of them.

A phrase with ``{}`` says one fact; the place itself is "it" in every phrase, and named once in
the opening sentence. Phrases stand without capital and full stop; the generator dresses them.
No run of eight words stands between two values, so two passages hardly ever share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from llamaduo.rehearsal.tasks.wording import phrases


@dataclass(frozen=True, slots=True)
class Topic:
    """One kind of fact: what says it of the place, what asks for it, and what says the like of
    something nearby."""

    statements: tuple[str, ...]
    questions: tuple[str, ...]
    elsewhere: tuple[str, ...]


TOPICS: Final[dict[str, Topic]] = {
    "opening": Topic(
        phrases("""it opens at {}; the doors open at {}; they open at {}; opening is at {};
            opening time is {}"""),
        phrases("""When does it open?; At what time does it open?; What is the opening time?"""),
        phrases("the cafe opposite opens at {}; the shop nearby opens at {}"),
    ),
    "closing": Topic(
        phrases("""it closes at {}; the doors close at {}; they close at {}; closing is at {};
            closing time is {}"""),
        phrases("""When does it close?; At what time does it close?; What is the closing time?"""),
        phrases("the cafe opposite closes at {}; the shop nearby shuts at {}"),
    ),
    "street": Topic(
        phrases("""it stands on {}; you find it on {}; the entrance is on {}; its address is {};
            look for the green door on {}"""),
        phrases("""Where is it?; Which street is it on?; What is the address?"""),
        phrases("the car park is on {}; the nearest bank is on {}"),
    ),
    "price": Topic(
        phrases("""a ticket costs {}; visitors pay {}; admission is {}; entry costs {};
            the price is {}"""),
        phrases("""What does a ticket cost?; How much is admission?; What is the price?"""),
        phrases("lunch next door costs {}; parking nearby costs {}"),
    ),
    "manager": Topic(
        phrases("""{} runs it; the manager is {}; {} is in charge; {} leads the small team;
            {} looks after everything"""),
        phrases("""Who runs it?; Who is in charge?; What is the manager's name?"""),
        phrases("{} runs the cafe opposite; {} owns the shop nearby"),
    ),
    "day off": Topic(
        phrases("""it is closed on {}; on {} it stays closed; they are closed on {};
            the day off is {}; {} is the day off"""),
        phrases("""On which day is it closed?; Which day is it closed?; When is the day off?"""),
        phrases("the cafe opposite rests on {}; the shop nearby is closed on {}"),
    ),
    "seats": Topic(
        phrases("""there is room for {} people; it seats {} people; up to {} people fit in;
            it has seats for {} people; it holds {} people"""),
        phrases("""How many people fit in?; How many people is there room for?;
            How many people does it hold?"""),
        phrases("the cafe opposite seats {} people; the hall nearby holds {} people"),
    ),
    "year": Topic(
        phrases("""it was founded in {}; it dates from {}; it was built in {};
            it has been there since {}; its first year was {}"""),
        phrases("""When was it founded?; When was it built?; In which year was it built?"""),
        phrases("the church nearby dates from {}; the town hall was built in {}"),
    ),
    "bus": Topic(
        phrases("""bus {} stops outside; take bus {} to get there; bus {} goes there;
            the nearest stop is that of bus {}; you can ride bus {}"""),
        phrases("""Which bus goes there?; What bus can I take?; Which bus stops there?"""),
        phrases("bus {} does not stop there; bus {} no longer runs"),
    ),
}

KINDS: Final = phrases("""museum; library; cinema; gallery; theatre; pool; archive; workshop;
    garden; bakery; bookshop; observatory""")

NAMES: Final = phrases("""Larkspur; Quillhaven; Bramblewick; Osterley; Tamsin; Fernbrook;
    Harrowgate; Winterbourne; Copperfield; Saltmarsh; Redwing; Thistledown; Applegarth; Moorcroft;
    Kestrel; Silverton; Dunmore; Ashgrove; Pemberly; Hollowell; Foxglove; Eastmere; Rookwood;
    Stonebridge""")

STREETS: Final = phrases("""Mill; Abbey; Station; Harbour; Orchard; Church; Castle; River;
    Market; Forest; Tower; Garden; King; Queen; Bridge; School; Maple; Cherry""")
STREET_ENDS: Final = phrases("Street; Road; Lane; Square")

FIRST_NAMES: Final = phrases("""Petra; Jonas; Amara; Felix; Ingrid; Thomas; Laura; Oscar; Nadia;
    Paul; Greta; Simon; Maria; Clara; Martin; Helen; Bruno; Emma""")
LAST_NAMES: Final = phrases("""Lind; Okafor; Novak; Fischer; Moreau; Costa; Berg; Tanaka; Walsh;
    Petrov; Silva; Marsh; Keller; Dunn; Ferrari; Hale; Olsen; Quinn""")

DAYS: Final = phrases("Monday; Tuesday; Wednesday; Thursday; Friday; Saturday; Sunday")

INTRODUCTIONS: Final = phrases("""the {} is worth a visit; everybody likes the {};
    this is about the {}; here is the {}; welcome to the {}; the {} is small; many know the {};
    few people know the {}""")

ASIDES: Final = phrases("""children like it; dogs are welcome; the staff are friendly;
    there is a nice view; parking is difficult; the tea is good; it can get loud; bring a coat;
    the walls are blue; photographs are allowed; a cat lives there; it smells of wood""")
