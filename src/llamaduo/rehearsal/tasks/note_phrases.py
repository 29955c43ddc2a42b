"""What the notes of the summarization task are made of: jobs done, and remarks beside them.

A phrase with ``{}`` says one fact, a remark with ``{}`` holds a number. Phrases stand without
capital and full stop; the generator dresses them. They are short, so that two notes hardly ever
share a run of eight words.
"""

from __future__ import annotations

from typing import Final

from llamaduo.rehearsal.tasks.wording import phrases

STATEMENTS: Final[dict[str, tuple[str, ...]]] = {
    "who": phrases("{} here; this is {}; {} speaking; my name is {}; it is {} again"),
    "did": phrases("I {}; I have {}; I {} myself; again I {}; I {} alone"),
    "where": phrases("""I was at the {}; the {} called; I drove to the {}; the {} was the place;
        it was the {}"""),
    "when": phrases("that was on {}; {} was the day; I came on {}; it was {}; on {} I came"),
}
"""Kind of fact → what says it of this job."""

OTHERS: Final[dict[str, tuple[str, ...]]] = {
    "who": phrases("{} says hello; I met {}; {} is on holiday"),
    "did": phrases("somebody else {}; they {} before; last year we {}"),
    "where": phrases("next is the {}; the {} must wait; I like the {}"),
    "when": phrases("{} is my day off; I rest on {}; {} was cold"),
}
"""Kind of fact → what says the like of something that does not matter."""

REMARKS: Final = phrases("""traffic took {} minutes; lunch cost {} euros; bus {} was late;
    it rained {} minutes; I counted {} stairs; the radio played; my back hurts;
    coffee was cold; a dog barked; everyone was friendly; parking was hard; it smelled odd;
    I lost {} screws; tea cost {} euros; we talked {} minutes; the queue was long;
    room {} was dark; I ate {} biscuits; all were content; it was loud; my phone rang {} times;
    the way was long; what a view; the cat slept; I sang; the news was dull; I slept {} hours""")
"""What does not matter."""

VERBS: Final[dict[str, tuple[str, ...]]] = {
    "repaired": phrases("repair; repairs; repairing; fix; fixes; fixed; fixing; mended"),
    "cleaned": phrases("clean; cleans; cleaning; washed; washing"),
    "replaced": phrases("replace; replaces; replacing; changed; swapped; exchanged"),
    "checked": phrases("check; checks; checking; inspected; tested; examined"),
    "painted": phrases("paint; paints; painting"),
    "moved": phrases("move; moves; moving; shifted; relocated"),
    "measured": phrases("measure; measures; measuring"),
    "installed": phrases("install; installs; installing; fitted"),
}
"""What can be done → other ways to say it."""

THINGS: Final = phrases("""gate; fence; lamp; heater; boiler; pump; lift; oven; sink; alarm; clock;
    bench; printer; fan; shelf; valve; bell; mirror; cooler; antenna""")

DAYS: Final[dict[str, tuple[str, ...]]] = {
    "Monday": ("mon", "mondays"),
    "Tuesday": ("tue", "tues", "tuesdays"),
    "Wednesday": ("wed", "wednesdays"),
    "Thursday": ("thu", "thur", "thurs", "thursdays"),
    "Friday": ("fri", "fridays"),
    "Saturday": ("sat", "saturdays"),
    "Sunday": ("sun", "sundays"),
}
"""Day → other ways to write it, in lower case."""
