//! Every error code has a page in docs/ERRORS, and every page a code.
//! It must not know the codes: it reads them from the table in the core, between
//! `// codes:begin` and `// codes:end`, in lines such as `Gone => "gone",`.

use crate::breach::Breach;

/// The file with the table.
pub(crate) const TABLE: &str = "crates/core/src/error.rs";
/// The folder with the pages, one per code.
const PAGES: &str = "docs/ERRORS/";

/// Compares the table's text with the paths of all documents.
pub(crate) fn check(table: &str, documents: &[&str]) -> Vec<Breach> {
    let codes = codes(table);
    if codes.is_empty() {
        let what = "no codes found; keep the table of codes between `// codes:begin` and `// codes:end`";
        return vec![Breach::new(TABLE, 1, what)];
    }
    let page = |code: &str| format!("{PAGES}{code}.md");
    let homeless = codes
        .iter()
        .filter(|(_, code)| !documents.contains(&page(code).as_str()))
        .map(|(line, code)| Breach::new(TABLE, *line, format!("`{code}` has no page; write {}", page(code))));
    let orphans = documents
        .iter()
        .filter(|path| path.strip_prefix(PAGES).is_some_and(|name| name != "README.md"))
        .filter(|path| !codes.iter().any(|(_, code)| page(code) == **path))
        .map(|path| Breach::new(path, 1, "a page without a code; remove it or rename it to its code"));
    homeless.chain(orphans).collect()
}

/// The codes in the table with their lines.
fn codes(table: &str) -> Vec<(usize, &str)> {
    let lines = table.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines
        .skip_while(|(_, line)| *line != "// codes:begin")
        .take_while(|(_, line)| *line != "// codes:end")
        .filter(|(_, line)| !line.starts_with("//"))
        .filter_map(|(at, line)| Some((at, line.split_once("=> \"")?.1.split('"').next()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "Self::No => \"no\",\n// codes:begin\n  Self::Gone => \"gone\",\n  Code::BadName => \"bad_name\",\n// codes:end\nSelf::No => \"no\",\n";

    #[test]
    fn codes_and_pages_match() {
        let pages = ["docs/ERRORS/gone.md", "docs/ERRORS/bad_name.md", "docs/ERRORS/README.md", "docs/STYLE.md"];
        assert_eq!(check(SAMPLE, &pages), []);
    }

    #[test]
    fn what_is_missing_is_named() {
        let found = check(SAMPLE, &["docs/ERRORS/gone.md", "docs/ERRORS/old.md"]);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "crates/core/src/error.rs:4: `bad_name` has no page; write docs/ERRORS/bad_name.md",
                "docs/ERRORS/old.md:1: a page without a code; remove it or rename it to its code",
            ]
        );
        assert_eq!(check("", &[]).len(), 1);
    }
}
