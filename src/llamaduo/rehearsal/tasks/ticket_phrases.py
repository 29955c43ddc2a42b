"""What the built-in task's tickets are made of.

The phrases are short on purpose. Opener and problem together stay below eight words, and so do
context, urgency and sign-off; a number stands between the two halves. So two tickets which
happen to share phrases hardly ever share the run of eight words that counts as contamination.
Phrases stand without capital and full stop here; the generator dresses them.
"""

from __future__ import annotations

from typing import Final

from llamaduo.rehearsal.tasks.wording import phrases

PROBLEMS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "billing": (
        phrases("""my invoice; the bill; our payment; the charge; your receipt; the fee;
            the renewal; our subscription"""),
        phrases("""is too high; was charged twice; has wrong VAT; was not refunded;
            costs too much; exceeds your quote; was billed early; shows wrong amounts"""),
    ),
    "login": (
        phrases("""my password; the login; our passcode; my PIN; the authenticator;
            my username; the signin; our credentials"""),
        phrases("""is not accepted; keeps failing; has expired again; gets refused;
            locks me out; says access denied; is always rejected; lets nobody in"""),
    ),
    "delivery": (
        phrases("""my parcel; the package; our order; the courier; the shipment; your driver;
            the box; our pallet"""),
        phrases("""has not arrived; is at customs; is days late; went somewhere else;
            cannot be tracked; was left outside; never came; missed our address"""),
    ),
    "bug": (
        phrases("""the app; the dashboard; the search; the website; the report; the menu;
            the screen; the chart"""),
        phrases("""crashes on start; shows an error; freezes constantly; does nothing;
            looks garbled; stays blank; stops responding; loads forever"""),
    ),
    "feature": (
        phrases("""please add; please offer; we want; how about; I suggest; we miss;
            please consider; I request"""),
        phrases("""a dark mode; an Excel export; keyboard shortcuts; a French version;
            a calendar view; more colour themes; a weekly summary; an offline mode"""),
    ),
}
"""Category → beginnings and endings; each beginning goes with each ending of its category."""

URGENCIES: Final[dict[str, tuple[str, ...]]] = {
    "high": phrases("""this is urgent; very urgent; urgent, we need it; urgent, nobody can work;
        it is an emergency; emergency, please hurry"""),
    "normal": (*phrases("please take a look; please check it"), *("", "")),
    "low": phrases("""no rush; no rush at all; no rush, just asking; just a question;
        it can wait; question, it can wait"""),
}
"""Priority → what says so. A ticket without a cue is normal."""

PLAIN_CONTEXTS: Final = phrases("""using Pro plan; we are ten; on my phone; on a Mac;
    small school here; I am new; third message now; using Firefox; calling from Lyon;
    we run bakeries; in home office; asked in chat; since last March; as of Monday;
    after the update""")

DISTRACTORS: Final = {
    "invoice looks fine": "billing",
    "payment went through": "billing",
    "login works fine": "login",
    "password is right": "login",
    "parcel came yesterday": "delivery",
    "courier was friendly": "delivery",
    "app runs well": "bug",
    "no error there": "bug",
    "dark mode helps": "feature",
    "nice new export": "feature",
}
"""Contexts that name another category's things: what makes the wording ambiguous."""

OPENERS: Final = phrases("""hi; hello; good morning; good evening; hey there; dear team;
    dear support; hi all""")

SIGN_OFFS: Final = phrases("thanks; many thanks; best wishes; cheers; kind regards; all best")

SENDERS: Final = phrases("""Ana; Ben; Carla; David; Emma; Femi; Grace; Hugo; Iris; Jonas; Kim;
    Lena; Mark; Nina; Omar; Paul; Rosa; Sam; Tara; Victor; Wei; Zoe""")

MISSPELLINGS: Final = {
    "calendar": "calender",
    "courier": "currier",
    "deadline": "dedline",
    "invoice": "invioce",
    "keeps": "keps",
    "login": "logn",
    "nothing": "nothign",
    "parcel": "parcell",
    "password": "pasword",
    "payment": "payement",
    "please": "pls",
    "question": "queston",
    "receipt": "reciept",
    "screen": "sreen",
    "the": "teh",
    "urgent": "urgnt",
    "whenever": "whenver",
    "wrong": "worng",
    "your": "yuor",
}
