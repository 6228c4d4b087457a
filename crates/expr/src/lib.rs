//! The one expression language: conditions, mappings and templates all speak it. A second dialect,
//! [`interpolation`], is that of connector manifests that others wrote.
//!
//! What it is: Jinja expressions (`age >= 18 and country in ['NL', 'BE']`), run by
//! minijinja under a fuel limit. Why a room of its own: everything that people write
//! into settings is evaluated here, so its limits and its manners are decided once.
//! What it must not do: read a clock, draw a random number, touch a file or a socket,
//! or let an expression see a field that [`Expr::names`] did not announce.
//!
//! ```text
//! source ─▶ token (lexer) ─▶ names   (what may be read; the scope is cut down to it)
//!                        ├─▶ path    (a.b.c, a.b == 'x': answered without the engine)
//!                        └─▶ rewrite ─▶ minijinja (dialect: our filters and methods)
//! template ─▶ its tags ─▶ the same ─┘
//! ```
//!
//! Manners in which we differ from plain Jinja, all for the sake of records with gaps:
//! - a missing field and a null are the same thing, equal to `none`, false in a condition;
//! - `a.b.c` is missing, not an error, when `a` is missing;
//! - `<`, `<=`, `>`, `>=` between a missing value and anything, or between a number
//!   and a text, is false;
//! - `*` multiplies numbers only, so that no short expression can fill the memory.

mod bounds;
mod convert;
pub mod datetime;
mod dialect;
mod error;
mod expr;
pub mod interpolation;
mod names;
mod path;
mod rewrite;
mod template;
mod token;

pub use bounds::{
    FILL_BYTES_MAX, FUEL, ITEMS_MAX, MANIFEST_FUEL, MANIFEST_TEMPLATE_BYTES_MAX, NESTING_MAX, REGEXES_MAX,
    RENDERED_BYTES_MAX, SHELF_ITEMS_MAX, SOURCE_BYTES_MAX, TAG_OPERATIONS_MAX, TEMPLATE_BLOCKS_MAX, TEMPLATE_BYTES_MAX,
    TEMPLATE_FUEL, TEXT_BYTES_MAX, WIDTH_MAX,
};
pub use error::{ExprError, ExprErrorKind};
pub use expr::Expr;
pub use template::{TemplateError, TemplateScope, Templates};
