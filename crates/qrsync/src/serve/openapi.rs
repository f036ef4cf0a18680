/// The description of the API (OpenAPI 3.1), with the schemas of `schemas/` in it. `cargo xtask openapi` writes it.
pub(super) const DOCUMENT: &str = include_str!("openapi.json");
