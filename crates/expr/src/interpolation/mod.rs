//! Interpolation: the templates of connector manifests, with the answers of Airbyte's own runtime.
//!
//! A manifest is data, but a tenth of it is little programs: `{{ config['start_date'] }}`,
//! `{{ (now_utc() - duration('P30D')).strftime('%Y-%m-%d') }}`, `{{ record['status'] in ['open', 'new'] }}`. They are
//! Jinja as Python runs it, and what they render to is read back as a Python literal. Expressions of our own settings
//! are another dialect, with manners made for records with gaps; this one has the manners of the reference, odd ones
//! included, because published manifests rely on them:
//! - what is rendered is text, and text that reads as a Python literal is that literal: `"123"` is a number;
//! - a value inside of text is spelt as Python spells it: `None`, `True`, `{'a': 1}`, `1e+16`;
//! - a name that nobody bound is an error, a field that is not there is nothing, and a field of a field that is not
//!   there makes the whole template nothing;
//! - kinds of values that do not go together (`None > 3`) are an error of their own kind, `Mismatch`, because the
//!   reference then passes the template's own text on. Conditions follow it there; values do not.
//!
//! ```text
//! source ─▶ rewrite (texts, tags, operators) ─▶ engine (minijinja) ─┬▶ a value ──────────────▶ eval
//!    └────▶ path (`{{ record['a'] }}`: no engine) ──────────────────┴▶ text ─▶ literal ─▶ eval, text, is_true
//! scope ─▶ views that convert the one key asked for
//! ```
//!
//! Where it is not the reference: dicts are in the order of their keys; regular expressions have no look-around;
//! integers beyond 64 bits, bytes and complex numbers stay text; `range` and statements beyond `if`, `for` and `set` are
//! not there. It must not read a clock, draw chance, or touch a file or a socket: what time it is stands in the scope.

mod collection;
mod engine;
mod filters;
mod literal;
mod macros;
mod methods;
mod operators;
mod path;
mod percent;
mod python;
mod rewrite;
mod scope;
mod stamp;
mod template;

pub use literal::literal;
pub use scope::{Bound, Scope};
pub use template::Template;
