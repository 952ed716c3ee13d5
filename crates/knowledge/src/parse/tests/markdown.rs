use super::super::{Format, Limits, ParseError, parse};
use super::{blocks, read};

const GUIDE: &str = "---
title: \"The guide\"
tags: [a]
---

# Install

Run the [installer](https://example.org/x) with **care**,
then *restart*.  
It `prints` a key[^1].

- one
- two
  1. inner
  2. more

     second paragraph

> quoted *words*

```sh
  plasma serve

  plasma ask
```

| Name | Size |
| ---- | ---- |
| a    | 1    |
|      | 2    |

Setext
------

<div class=\"note\">
<p>Caf&eacute; &amp; <b>tea</b></p>
</div>

- [x] done

![a diagram](x.png) &copy; 2026

[^1]: The note.
";

#[test]
fn structure_is_kept_and_markup_is_not() {
    let parsed = read(Format::Markdown, GUIDE);
    assert_eq!(parsed.title.as_deref(), Some("The guide"));
    assert_eq!(
        blocks(&parsed),
        [
            ("h1", "Install"),
            ("p", "Run the installer with care, then restart.\nIt prints a key[1]."),
            ("li", "- one"),
            ("li", "- two"),
            ("li", "1. inner"),
            ("li", "2. more"),
            ("li", "second paragraph"),
            ("p", "quoted words"),
            ("code", "  plasma serve\n\n  plasma ask"),
            ("row", "Name | Size"),
            ("row", "a | 1"),
            ("row", "| 2"),
            ("h2", "Setext"),
            ("p", "Café & tea"),
            ("li", "- [x] done"),
            ("p", "a diagram © 2026"),
            ("p", "[1] The note."),
        ]
    );
    assert!(parsed.text.contains("- one\n- two\n1. inner"), "items stand close together");
}

#[test]
fn the_first_heading_is_the_title_without_front_matter() {
    assert_eq!(read(Format::Markdown, "intro\n\n## Two\n\n# One\n").title.as_deref(), Some("One"));
    assert_eq!(read(Format::Markdown, "+++\ntitle = 'Toml'\n+++\n\n# One\n").title.as_deref(), Some("Toml"));
    assert_eq!(read(Format::Markdown, "words").title, None);
}

#[test]
fn long_markdown_is_refused() {
    let limits = Limits { markdown_bytes_max: 100, ..Limits::default() };
    let refused = parse(Format::Markdown, "word ".repeat(21).as_bytes(), &limits);
    assert_eq!(refused, Err(ParseError::TooLarge { what: "bytes of Markdown", limit: 100 }));
}

#[test]
fn scripts_in_markdown_are_not_text() {
    let parsed =
        read(Format::Markdown, "before\n\n<script>\nalert('x')\n</script>\n\nafter <span>inline</span><br>end");
    assert_eq!(blocks(&parsed), [("p", "before"), ("p", "after inline\nend")]);
}
