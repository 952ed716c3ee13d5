//! The setting `search_nodes`: databases by name, as tables in the file or as one line elsewhere. URLs are never quoted back.

use toml::{Table, Value, de::DeValue};

use super::check;

pub(super) const KEY: &str = "search_nodes";

const NODES_MAX: usize = 64;
const REPLICAS_MAX: usize = 8;
const NAME_CHARS_MAX: usize = 40;
const SCHEMES: &[&str] = &["postgres", "postgresql"];

/// Mistakes, each with its place in the file.
type Mistakes = Vec<(usize, String)>;

/// What `[search]` in the file holds.
pub(super) fn from_table(search: &DeValue<'_>) -> (Value, Mistakes) {
    let mut nodes = Table::new();
    let mut mistakes = Mistakes::new();
    let DeValue::Table(search) = search else {
        return (Value::Table(nodes), vec![(0, "`search` must be a table such as [search.nodes.a]".to_owned())]);
    };
    for (key, value) in search {
        let name: &str = key.get_ref().as_ref();
        match value.get_ref() {
            DeValue::Table(given) if name == "nodes" => {
                for (key, node) in given {
                    let name: &str = key.get_ref().as_ref();
                    if let Some(node) = node_from_table(name, key.span().start, node.get_ref(), &mut mistakes) {
                        nodes.insert(name.to_owned(), node);
                    }
                }
            }
            _ if name == "nodes" => {
                mistakes.push((key.span().start, "`search.nodes` must be a table such as [search.nodes.a]".to_owned()));
            }
            _ => {
                let what = format!("unknown setting `search.{name}`; there is only `search.nodes`");
                mistakes.push((key.span().start, what));
            }
        }
    }
    if mistakes.is_empty()
        && let Err(what) = fit_together(&nodes)
    {
        mistakes.push((0, what));
    }
    (Value::Table(nodes), mistakes)
}

fn node_from_table(name: &str, offset: usize, node: &DeValue<'_>, mistakes: &mut Mistakes) -> Option<Value> {
    let place = format!("search.nodes.{name}");
    if !is_name(name) {
        let rule = format!("must be named with 1 to {NAME_CHARS_MAX} of a-z, 0-9, - and _, the first a letter");
        mistakes.push((offset, format!("`{place}` {rule}")));
        return None;
    }
    let DeValue::Table(given) = node else {
        mistakes.push((offset, format!("`{place}` must be a table with url and replicas")));
        return None;
    };
    let mut urls = Table::new();
    for (key, value) in given {
        let field: &str = key.get_ref().as_ref();
        let checked = match (field, value.get_ref()) {
            ("url", DeValue::String(url)) => check::url(SCHEMES, url),
            ("replicas", DeValue::Array(items)) => {
                let texts: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
                texts.map_or_else(|| Err("must be a list of texts in quotes".to_owned()), |texts| replicas(&texts))
            }
            ("url", _) => Err("must be a text in quotes".to_owned()),
            ("replicas", _) => Err("must be a list such as [\"postgres://…\"]".to_owned()),
            _ => {
                let near = check::suggestion(field, ["url", "replicas"].into_iter());
                mistakes.push((key.span().start, format!("unknown setting `{place}.{field}`{near}")));
                continue;
            }
        };
        match checked {
            Ok(value) => drop(urls.insert(field.to_owned(), value)),
            Err(what) => mistakes.push((key.span().start, format!("`{place}.{field}` {what}"))),
        }
    }
    if !given.iter().any(|(key, _)| *key.get_ref() == "url") {
        mistakes.push((offset, format!("`{place}` must have a url")));
    }
    Some(Value::Table(urls))
}

fn replicas(urls: &[&str]) -> Result<Value, String> {
    if urls.len() > REPLICAS_MAX {
        return Err(format!("has at most {REPLICAS_MAX} replicas"));
    }
    urls.iter().map(|url| check::url(SCHEMES, url)).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

/// `name=url,url-of-a-replica name=url`.
pub(super) fn from_text(text: &str) -> Result<Value, String> {
    let form = || "must be name=url,url-of-a-replica, with spaces between nodes".to_owned();
    let mut nodes = Table::new();
    for node in text.split_whitespace() {
        let (name, urls) = node.split_once('=').filter(|(name, _)| is_name(name)).ok_or_else(form)?;
        let mut urls = urls.split(',');
        let mut node = Table::new();
        let at = |what: String| format!("the URL of the node `{name}` {what}");
        node.insert("url".to_owned(), check::url(SCHEMES, urls.next().unwrap_or_default()).map_err(at)?);
        let replicas: Vec<&str> = urls.collect();
        let at = |what: String| format!("the list of replicas of the node `{name}` {what}");
        node.insert("replicas".to_owned(), self::replicas(&replicas).map_err(at)?);
        if nodes.insert(name.to_owned(), Value::Table(node)).is_some() {
            return Err(format!("names the node `{name}` twice"));
        }
    }
    fit_together(&nodes)?;
    Ok(Value::Table(nodes))
}

/// Two nodes never share a database: each of them says in it how far it is.
fn fit_together(nodes: &Table) -> Result<(), String> {
    if nodes.len() > NODES_MAX {
        return Err(format!("there are at most {NODES_MAX} search nodes"));
    }
    for (at, (name, node)) in nodes.iter().enumerate() {
        let twin = nodes.iter().skip(at + 1).find(|(_, other)| url(other) == url(node));
        if let Some((other, _)) = twin {
            return Err(format!("the nodes `{name}` and `{other}` have the same database; give each one of its own"));
        }
    }
    Ok(())
}

fn url(node: &Value) -> Option<&str> {
    node.get("url").and_then(Value::as_str)
}

fn is_name(name: &str) -> bool {
    let is_letter =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '_');
    name.len() <= NAME_CHARS_MAX
        && name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.chars().all(is_letter)
}
