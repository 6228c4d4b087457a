//! References: `"#/definitions/x"` as a value, or `$ref` beside keys of one's own, which win.
//!
//! A path is tried as a key as it stands, then part by part, since keys may hold a `/`. What refers to itself is
//! refused with the path that closes the circle.

use crate::node::{Data, Node};
use crate::problem::Problem;

const REF: &str = "$ref";
/// Most values after all references are followed: the largest manifest known has 90,000.
const NODES_MAX: usize = 4_000_000;
/// Deepest nesting once references are followed; reading takes stack.
const DEPTH_MAX: usize = 256;

/// The manifest with every reference replaced by what it refers to.
///
/// # Errors
/// A reference to nothing, or to itself.
pub(crate) fn resolve(manifest: &Node) -> Result<Node, Problem> {
    let mut resolver = Resolver { manifest, open: Vec::new(), count: 0, depth: 0 };
    // Definitions are there to be referred to: followed by themselves they would only be copied.
    let Data::Map(entries) = &manifest.data else { return Ok(manifest.clone()) };
    let mut resolved = Vec::with_capacity(entries.len());
    for (key, node) in entries {
        if key != "definitions" {
            resolved.push((key.clone(), resolver.node(node)?));
        }
    }
    Ok(Node { line: manifest.line, data: Data::Map(resolved) })
}

struct Resolver<'m> {
    manifest: &'m Node,
    open: Vec<String>,
    count: usize,
    depth: usize,
}

impl Resolver<'_> {
    fn node(&mut self, node: &Node) -> Result<Node, Problem> {
        if self.depth >= DEPTH_MAX {
            let message =
                format!("with its references followed, the file nests deeper than {DEPTH_MAX}; refer to less");
            return Err(Problem::at(node.line, message));
        }
        self.depth += 1;
        let resolved = self.unfolded(node);
        self.depth -= 1;
        resolved
    }

    fn unfolded(&mut self, node: &Node) -> Result<Node, Problem> {
        self.count += 1;
        if self.count > NODES_MAX {
            return Err(Problem::at(
                node.line,
                format!("its references unfold to over {NODES_MAX} values; refer to less"),
            ));
        }
        let data = match &node.data {
            Data::Text(text) if text.starts_with("#/") => return self.reference(text, node.line),
            Data::List(items) => Data::List(items.iter().map(|item| self.node(item)).collect::<Result<_, _>>()?),
            Data::Map(entries) => return self.map(entries, node.line),
            plain => plain.clone(),
        };
        Ok(Node { line: node.line, data })
    }

    fn map(&mut self, entries: &[(String, Node)], line: usize) -> Result<Node, Problem> {
        let reference = entries.iter().find(|(key, _)| key == REF).map(|(_, node)| node);
        let base = reference.map(|node| self.node(node)).transpose()?;
        let mut resolved = match base {
            Some(Node { data: Data::Map(entries), .. }) => entries,
            Some(other) => return Ok(other),
            None => Vec::with_capacity(entries.len()),
        };
        for (key, node) in entries.iter().filter(|(key, _)| key != REF) {
            let node = self.node(node)?;
            match resolved.iter_mut().find(|(known, _)| known == key) {
                Some((_, known)) => *known = node,
                None => resolved.push((key.clone(), node)),
            }
        }
        Ok(Node { line, data: Data::Map(resolved) })
    }

    fn reference(&mut self, reference: &str, line: usize) -> Result<Node, Problem> {
        if self.open.iter().any(|open| open == reference) {
            let circle = self.open.join(" → ");
            return Err(Problem::at(
                line,
                format!("{reference} refers to itself: {circle} → {reference}; break the circle"),
            ));
        }
        let path = reference.trim_start_matches("#/");
        let found = lookup(self.manifest, path).ok_or_else(|| {
            Problem::at(line, format!("{reference} refers to nothing in this file; check its spelling"))
        })?;
        self.open.push(reference.to_owned());
        let node = self.node(&found);
        self.open.pop();
        node
    }
}

/// What stands at `path`: the whole rest as one key first, then its first part. References on the way are followed.
fn lookup(node: &Node, path: &str) -> Option<Node> {
    let mut node = node;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(found) = node.get(rest) {
            return Some(found.clone());
        }
        let (first, after) = rest.split_once('/').unwrap_or((rest, ""));
        node = match &node.data {
            Data::List(items) => items.get(first.parse::<usize>().ok()?)?,
            _ => node.get(first)?,
        };
        rest = after;
    }
    Some(node.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;
    use serde_json::json;

    fn resolved(text: &str) -> Result<serde_json::Value, Problem> {
        resolve(&yaml::parse(text).unwrap()).map(|node| node.to_json())
    }

    #[test]
    fn references_are_replaced_and_own_keys_win() {
        let text = "definitions: {base: {a: 1, b: {c: 2}}, /x/y: uh, list: [{n: 5}], own: {$ref: '#/definitions/base', a: 9}}\n\
                    one: {$ref: '#/definitions/base', a: 7}\ntwo: '#/definitions/base/b'\nthree: '#/definitions//x/y'\n\
                    four: {$ref: '#/definitions/list/0'}\nfive: {$ref: '#/definitions/own'}\nsix: ['#/one/a']";
        assert_eq!(
            resolved(text).unwrap(),
            json!({"one": {"a": 7, "b": {"c": 2}}, "two": {"c": 2}, "three": "uh", "four": {"n": 5},
                   "five": {"a": 9, "b": {"c": 2}}, "six": [7]})
        );
    }

    #[test]
    fn nothing_and_circles_are_refused() {
        assert!(resolved("a: 1\nb: '#/c'").unwrap_err().message.starts_with("#/c refers to nothing"));
        let circle =
            resolved("definitions: {a: {x: '#/definitions/b'}, b: {$ref: '#/definitions/a'}}\nc: '#/definitions/a'");
        assert!(
            circle
                .unwrap_err()
                .message
                .contains("refers to itself: #/definitions/a → #/definitions/b → #/definitions/a")
        );
    }

    #[test]
    fn references_cannot_nest_without_end() {
        let chain: String = (0..20_000).map(|at| format!("  a{at}: {{x: '#/definitions/a{}'}}\n", at + 1)).collect();
        let text = format!("definitions:\n{chain}  a20000: 1\nb: '#/definitions/a0'\n");
        assert!(resolved(&text).unwrap_err().message.contains("nests deeper than"));
    }
}
