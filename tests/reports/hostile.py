"""What a host or GitHub may say to do harm in a terminal, a page, a log, a summary, a metric or an XML file."""

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
ANSI = "\x1b[31mred\x1b]0;title\x07\x1b[0m"
BIDI = "\u202egnp.exe\u2066"
COMMAND = "\n::set-output name=verdict::deploy\n  ::error::gone\n##[set-env name=PATH]/tmp\n::stop-commands::x"
MARKDOWN = "`` ` ![x](http://evil.example/i.png) [a](javascript:alert(1)) | cell | @somebody <b>bold</b>\n# heading\n```\n</details>"
NUL = "a\x00b\x1fc\x7fd\x9fe\ufffe"
SURROGATE = "half \ud800 of one"
LONG = "A" * 100_000 + "end"
QUOTES = '\' " \\ \\n $(touch x) `touch x` ; touch x\n{label="x"} 1'

PAYLOADS = (SCRIPT, IMAGE, ANSI, BIDI, COMMAND, MARKDOWN, QUOTES)
"""What a text of Unicode can hold; below is what only broken bytes give."""
BROKEN = (NUL, SURROGATE, LONG)
