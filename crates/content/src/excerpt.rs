use plasma_knowledge::ask::without_marks;

/// Characters of an excerpt, the final `…` not counted.
const EXCERPT_CHARS_MAX: usize = 240;

/// The beginning of a Markdown text as plain words, for lists.
pub(crate) fn excerpt(body: &str) -> String {
    let mut plain = String::new();
    let mut characters = 0;
    for line in body.lines() {
        let line = line.trim().trim_start_matches(['#', '>', '-', '*', '+', '|', ' ']);
        if line.is_empty() || line.starts_with("```") {
            continue;
        }
        // A line may be the whole megabyte; four times the length leaves room for marks and signs.
        let beginning: String = line.chars().take(EXCERPT_CHARS_MAX * 4).collect();
        for word in without_marks(&beginning).replace(['*', '`'], "").split_whitespace() {
            let length = word.chars().count() + usize::from(characters > 0);
            if characters + length > EXCERPT_CHARS_MAX {
                if characters == 0 {
                    plain.extend(word.chars().take(EXCERPT_CHARS_MAX));
                }
                plain.push('…');
                return plain;
            }
            if characters > 0 {
                plain.push(' ');
            }
            plain.push_str(word);
            characters += length;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_becomes_plain_words() {
        let body = "## Title\n\n- **First** item [1], with `code` [2][3].\n\n```\nlet x;\n```\n> Quote 🎉";
        assert_eq!(excerpt(body), "Title First item, with code. let x; Quote 🎉");
        assert_eq!(excerpt(""), "");
    }

    #[test]
    fn long_text_ends_at_a_word() {
        let text = excerpt(&"word ".repeat(100));
        assert!(text.ends_with("word…"));
        assert!(text.chars().count() <= EXCERPT_CHARS_MAX + 1);
        assert_eq!(excerpt(&"🎉".repeat(1_000_000)).chars().count(), EXCERPT_CHARS_MAX + 1);
    }
}
