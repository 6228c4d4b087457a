//! Every test that a checklist names must be there.
//! The lists say what others ask of an API and which test shows that it is so, as `crate::file::test`, where the file
//! stands anywhere in the crate. It must not judge whether the test shows it.

use crate::breach::Breach;
use crate::tree::File;

/// The checklists.
const LISTS: [&str; 2] = ["docs/AZUQUA.md", "docs/INTEGRY.md"];

/// Breaches in a document; none in one that is no checklist.
pub(crate) fn check(path: &str, text: &str, sources: &[File]) -> Vec<Breach> {
    if !LISTS.contains(&path) {
        return Vec::new();
    }
    let lost = named(text).into_iter().filter(|(_, test)| !is_there(test, sources));
    lost.map(|(line, test)| Breach::new(path, line, format!("no test `{test}`; name one that is there, or write it")))
        .collect()
}

/// What stands between backticks and has two colons, with its line.
fn named(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().enumerate();
    let pieces = lines.flat_map(|(at, line)| line.split('`').skip(1).step_by(2).map(move |piece| (at + 1, piece)));
    pieces.filter(|(_, piece)| piece.contains("::")).collect()
}

fn is_there(test: &str, sources: &[File]) -> bool {
    let mut parts = test.split("::");
    let (Some(of), Some(file), Some(name), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let (folder, file, start) = (format!("crates/{of}/"), format!("/{file}.rs"), format!("fn {name}("));
    sources
        .iter()
        .any(|source| source.path.starts_with(&folder) && source.path.ends_with(&file) && source.text.contains(&start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_are_not_there_are_named() {
        let text = "fn it_is_so() {}".to_owned();
        let sources = [File { path: "crates/http/tests/it/rest.rs".to_owned(), text }];
        let page = "one `http::rest::it_is_so` two `http::rest::it_is` \n `http::feed::it_is_so` and `GET /x`";
        let found: Vec<String> = check(LISTS[0], page, &sources).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "docs/AZUQUA.md:1: no test `http::rest::it_is`; name one that is there, or write it",
                "docs/AZUQUA.md:2: no test `http::feed::it_is_so`; name one that is there, or write it",
            ]
        );
        assert_eq!(check("docs/API.md", page, &sources), []);
    }
}
