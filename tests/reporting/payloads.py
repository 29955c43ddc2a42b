"""What an attacker would write into a prompt, a response, a reason or a name.

``JS`` becomes a call that sets this payload's mark, ``URL`` an address whose visit sets it. The
context says where in a careless page it would come alive.
"""

from __future__ import annotations

from dataclasses import dataclass

from markdown_it import MarkdownIt

CONTEXTS = {
    "text": "<p>{}</p>",
    "pre": "<pre>{}</pre>",
    "cell": "<table><tr><td>{}</td></tr></table>",
    "attribute": '<p title="{}">x</p>',
    "quoted": "<p title='{}'>x</p>",
    "bare": "<p title={}>x</p>",
    "link": '<a href="{}">x</a>',
    "title": "<title>{}</title>",
    "style": "<style>{}</style>",
    "textarea": "<textarea>{}</textarea>",
    "comment": "<!-- {} -->",
    "svg": "<svg><text>{}</text></svg>",
    "markdown": "{}",
}

LIVE: dict[str, tuple[str, ...]] = {
    "text": (
        "<script>JS</script>",
        "<ScRiPt>JS</sCrIpT>",
        "<script/x>JS</script >",
        "<<script>JS//<</script>",
        "<script>\u2028JS\u2029</script>",
        "\u202e<script>JS</script>\u202c",
        "\ufeff<script>JS</script>",
        "\x00<script>JS\n</script>",
        "<script type=module>JS</script>",
        "<script src='data:text/javascript,JS'></script>",
        "<script>eval('JS')</script>",
        "<script>Function(`JS`)()</script>",
        "<img src=x onerror=JS>",
        "<IMG SRC=x OnErRoR=JS>",
        "<img/src='x'/onerror=JS>",
        "<img\tsrc=x\tonerror=JS>",
        "<img\nsrc=x\nonerror\n=\nJS>",
        "<img\x0csrc=x\x0conerror=JS>",
        '<img src="x\x00" onerror="JS">',
        "<img src=x onerror=&#x74;op&#46;mark&lpar;NUMBER&rpar;>",
        "<img src=x onerror=\\u0074op.mark(NUMBER)>",
        "<img src=x onerror=top['mark'](NUMBER)>",
        '<img src=x:x onerror="JS" alt=\'">\'>',
        "<image src=x onerror=JS>",
        "<svg onload=JS>",
        "<svg/onload=JS>",
        "<svg><script>JS</script></svg>",
        "<svg><script href='data:,JS' /></svg>",
        "<svg><animate onbegin=JS attributeName=x dur=1s></svg>",
        "<svg><set onbegin=JS attributeName=x to=1></svg>",
        "<svg><image href=x onerror=JS></svg>",
        "<svg><a href='javascript:JS'><text y=20>x</text></a></svg>",
        "<svg><foreignObject><img src=x onerror=JS></foreignObject></svg>",
        "<math><mtext><img src=x onerror=JS></mtext></math>",
        "<iframe srcdoc='<script>JS</script>'></iframe>",
        "<iframe srcdoc='&lt;img src=x onerror=JS&gt;'></iframe>",
        "<iframe src='javascript:JS'></iframe>",
        "<iframe onload=JS></iframe>",
        "<video><source onerror=JS></video>",
        "<audio src=x onerror=JS></audio>",
        "<body onload=JS>",
        "<details open ontoggle=JS><summary>x</summary></details>",
        "<input autofocus onfocus=JS>",
        "<button onclick=JS>x</button>",
        "<form><button formaction='javascript:JS'>x</button></form>",
        "<p tabindex=0 onclick=JS>x</p>",
        "<p onmouseover=JS>x</p>",
        "<p oncontentvisibilityautostatechange=JS style='content-visibility:auto'>x</p>",
        "<style>@keyframes k{}</style><p style='animation:k 1s' onanimationstart=JS>x</p>",
        "<a href='javascript:JS'>x</a>",
        "<a href='JaVaScRiPt&colon;JS'>x</a>",
        "<a href='java&Tab;script:JS'>x</a>",
        "<a href='\x01javascript:JS'>x</a>",
        "<noscript><p title='</noscript><img src=x onerror=JS>'></noscript>",
        "<![CDATA[><script>JS</script>]]>",
        "<?xml ?><script>JS</script>",
        "<!--><script>JS</script>-->",
        "<img src=URL>",
        "<link rel=stylesheet href=URL>",
        "<p style='background:url(URL)'>x</p>",
        "<style>@import 'URL';</style>",
        "<object data=URL></object>",
        "<meta http-equiv=refresh content='0;url=URL'>",
        "{{ 7 * 7 }}<script>JS</script>{% raw %}",
    ),
    "pre": ("</pre><script>JS</script><pre>",),
    "cell": ("</td></tr></table></section></main></body></html><script>JS</script>",),
    "attribute": (
        '"><script>JS</script>',
        '" onmouseover="JS',
        '" autofocus onfocus=JS x="',
    ),
    "quoted": ("'><img src=x onerror=JS>", "' onclick='JS"),
    "bare": ("x onclick=JS ", "x><img src=x onerror=JS "),
    "link": ("javascript:JS", "java\nscript:JS", " javascript:JS//https://example.org"),
    "title": ("</title><script>JS</script>", "</TITLE/><img src=x onerror=JS>"),
    "style": ("</style><script>JS</script>", "* { background: url(URL) }"),
    "textarea": ("</textarea><script>JS</script>",),
    "comment": ("--><script>JS</script>", "--!><img src=x onerror=JS>"),
    "svg": (
        "</text></svg><script>JS</script>",
        "<![CDATA[]]></text><script>JS</script>",
        "</svg><img src=x onerror=JS>",
    ),
    "markdown": (
        "![x](URL)",
        '![x](<URL> "title")',
        "```\n```\n<script>JS</script>",
        "x\n\n<img src=x onerror=JS>",
        "| a |\n| --- |\n| <img src=x onerror=JS> |",
        "- </li></ul><script>JS</script>",
        '[x]: URL "t"\n\n![x]',
    ),
}
"""By context, what comes alive in it."""

INERT = (
    "{{7*7}}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "${7*7}<%= 7*7 %>#{7*7}",
    "＜script＞JS＜/script＞",
    "+ADw-script+AD4-JS+ADw-/script+AD4-",
    "<scr\x00ipt>JS</scr\x00ipt>",
    "&lt;script&gt;JS&lt;/script&gt;",
    "&#60;script&#62;JS&#60;/script&#62;",
    "<p style='width:expression(JS)'>x</p>",
    "<object data='javascript:JS'></object>",
    "[x](javascript:JS) <javascript:JS>",
    "<svg><![CDATA[<img src=x onerror=JS>]]></svg>",
)
"""What a browser of today does not run, but a template, an old browser or a decoder might."""


@dataclass(frozen=True, slots=True)
class Payload:
    """One payload. ``number`` is the mark it sets; in the careless page it is ``CONTROL`` more."""

    number: int
    context: str
    raw: str

    def text(self, number: int | None = None) -> str:
        """The payload as an attacker writes it."""
        mark = str(self.number if number is None else number)
        script = self.raw.replace("JS", f"top.mark({mark})")
        return script.replace("URL", f"/owned/{mark}").replace("NUMBER", mark)

    def careless(self) -> str:
        """A page that shows it unescaped."""
        text = self.text(CONTROL + self.number)
        if self.context == "markdown":
            return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
        return CONTEXTS[self.context].replace("{}", text)


CONTROL = 1000
ALIVE = tuple(
    Payload(number, context, raw)
    for number, (context, raw) in enumerate(
        (context, raw) for context, payloads in LIVE.items() for raw in payloads
    )
)
PAYLOADS = (*ALIVE, *(Payload(len(ALIVE) + n, "text", raw) for n, raw in enumerate(INERT)))
