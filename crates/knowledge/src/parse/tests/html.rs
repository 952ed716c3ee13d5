use super::super::Format;
use super::{blocks, error, read};

#[test]
fn the_main_content_is_read_without_decoration() {
    let page = "<!doctype html><html><head><title>News &amp; more</title><style>p{}</style><script>if (a < b) {}</script></head>
<body><nav><a href=/>Home</a></nav><header>Logo</header>
<main><h1>The <em>harbour</em><a class=\"x headerlink\" href=#h>¶</a></h1>
<p>Ships   moor
here&nbsp;&mdash; at &#8364;5.<br>Second line</p>
<ul><li>one<li>two <b>bold</b><ol start=3><li>three</ol></ul>
<pre><code>fn main() {
    1 &lt; 2
}</code></pre>
<table><caption>Fees</caption><thead><tr><th>Boat<th>Fee</tr><tbody><tr><td>Yacht</td><td><p>12</p></td></tr></table>
<div hidden>secret</div><template>never</template><svg><title>icon</title><text>x</text></svg>
</main><footer>Imprint</footer></body></html>";
    let parsed = read(Format::Html, page);
    assert_eq!(parsed.title.as_deref(), Some("News & more"));
    assert_eq!(
        blocks(&parsed),
        [
            ("h1", "The harbour"),
            ("p", "Ships moor here\u{a0}— at €5.\nSecond line"),
            ("li", "- one"),
            ("li", "- two bold"),
            ("li", "3. three"),
            ("code", "fn main() {\n    1 < 2\n}"),
            ("p", "Fees"),
            ("row", "Boat | Fee"),
            ("row", "Yacht | 12"),
        ]
    );
}

#[test]
fn a_page_without_main_is_read_whole() {
    let parsed =
        read(Format::Html, "<body><aside>links</aside><h2>A</h2>loose text<p>b<p>c<div>d</div><footer>f</footer>");
    assert_eq!(blocks(&parsed), [("h2", "A"), ("p", "loose text"), ("p", "b"), ("p", "c"), ("p", "d")]);
    let parsed = read(
        Format::Html,
        "<div>menu</div><article><h1>Story</h1><p>A long text of the story itself.</article><div>ads</div>",
    );
    assert_eq!(blocks(&parsed), [("h1", "Story"), ("p", "A long text of the story itself.")]);
}

#[test]
fn an_unclosed_navigation_does_not_swallow_the_page() {
    let parsed = read(Format::Html, "<nav><a>Home</a><p>All of the text");
    assert_eq!(blocks(&parsed), [("p", "Home"), ("p", "All of the text")]);
}

#[test]
fn references_are_resolved_by_the_rules_of_html() {
    let parsed = read(
        Format::Html,
        "<p>&lt;b&gt; &copy 2026 &notit; &#x1F600; &#0; &unknown; AT&T &amp;amp; a < b</p><p>&eacute;</p>",
    );
    assert_eq!(blocks(&parsed)[0].1, "<b> © 2026 ¬it; 😀 \u{fffd} &unknown; AT&T &amp; a < b");
    assert_eq!(blocks(&parsed)[1].1, "é");
}

#[test]
fn stated_encodings_are_used() {
    assert_eq!(read(Format::Html, b"<meta charset='windows-1251'><p>\xcf\xf0\xe8\xe2\xe5\xf2").text, "Привет");
    assert_eq!(
        read(Format::Html, b"<meta http-equiv=content-type content=\"text/html; charset=iso-8859-1\"><p>caf\xe9").text,
        "café"
    );
    assert_eq!(read(Format::Html, "<meta charset=utf-8><p>café").text, "café");
    assert_eq!(error(Format::Html, b"<meta charset=utf-8><p>\xff\xfe\xfd").reason(), "text_encoding_unknown");
    assert_eq!(error(Format::Html, b"<meta charset=shift_jis><p>\xff\xff\xff").reason(), "text_encoding_unknown");
}

#[test]
fn ten_thousand_nested_elements_are_read() {
    let page = format!("{}deep{}", "<div><b>".repeat(10_000), "</b></div>".repeat(10_000));
    assert_eq!(blocks(&read(Format::Html, page)), [("p", "deep")]);
    let lists = format!("{}deep", "<ul><li>".repeat(10_000));
    assert_eq!(blocks(&read(Format::Html, lists)), [("li", "- deep")]);
}

#[test]
fn broken_markup_ends_somewhere() {
    assert_eq!(read(Format::Html, "a<b c='d'>e</b f>g<!-- x -->h<!-- unclosed").text, "aegh");
    assert_eq!(read(Format::Html, "a <3 b < c <> d </> e<?php x ?>f").text, "a <3 b < c <> d ef");
    assert_eq!(read(Format::Html, "text<a href=\"x").text, "text");
    assert_eq!(read(Format::Html, "<p title='a>b' data-x = \"c>d\">text</p>").text, "text");
    assert_eq!(error(Format::Html, "<script>only code</script>").reason(), "document_empty");
}
