//! Reads which modules a crate has, and which paths each of them names. Code for tests is left out.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Meta, Token, UseTree};

/// Segments of a path: of a module from the root of its crate, or as a source has it.
pub(super) type Segments = Vec<String>;

#[derive(Debug, Default)]
pub(super) struct Module {
    /// From the root of the workspace.
    pub(super) file: String,
    /// What its own items are called, modules and imports left out.
    pub(super) items: BTreeSet<String>,
    /// What its imports stand for. A name can have one for each configuration.
    pub(super) imports: BTreeMap<String, Vec<Segments>>,
    /// Modules from which it imports everything.
    pub(super) globs: Vec<Segments>,
    pub(super) mentions: Vec<Mention>,
}

/// A path that a source names.
#[derive(Debug)]
pub(super) struct Mention {
    pub(super) path: Segments,
    pub(super) line: usize,
}

/// All modules of the crate whose root is this file; the root itself has no segments. `texts` are those of all files.
pub(super) fn modules(root: &str, texts: &BTreeMap<&str, &str>) -> Result<BTreeMap<Segments, Module>> {
    let mut reader = Reader { texts, modules: BTreeMap::new() };
    let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
    reader.file(root, &Place { module: Vec::new(), folder: folder.to_owned() })?;
    Ok(reader.modules)
}

struct Reader<'a> {
    texts: &'a BTreeMap<&'a str, &'a str>,
    modules: BTreeMap<Segments, Module>,
}

/// A module, and the folder in which the files of its children lie.
struct Place {
    module: Segments,
    folder: String,
}

impl Reader<'_> {
    fn file(&mut self, file: &str, place: &Place) -> Result<()> {
        let text = self.texts.get(file).with_context(|| format!("{file} is missing"))?;
        let parsed = syn::parse_file(text).with_context(|| format!("{file} is no Rust"))?;
        self.items(file, &parsed.items, place)
    }

    fn items(&mut self, file: &str, items: &[Item], place: &Place) -> Result<()> {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items {
            let (name, attributes) = head(item);
            if is_for_tests(attributes) {
                continue;
            }
            if let Item::Mod(child) = item {
                self.child(file, child, place)?;
                continue;
            }
            module.items.extend(name.map(ToString::to_string));
            if let Item::Use(import) = item {
                for leaf in leaves(import) {
                    match leaf.name {
                        Some(name) => module.imports.entry(name).or_default().push(leaf.mention.path),
                        None => module.globs.push(leaf.mention.path),
                    }
                }
            }
            Mentions(&mut module.mentions).visit_item(item);
        }
        self.modules.insert(place.module.clone(), module);
        Ok(())
    }

    fn child(&mut self, file: &str, child: &ItemMod, parent: &Place) -> Result<()> {
        let name = child.ident.to_string();
        let folder = format!("{}/{name}", parent.folder);
        let candidates = [format!("{folder}.rs"), format!("{folder}/mod.rs")];
        let place = Place { module: [&parent.module[..], &[name]].concat(), folder };
        if let Some((_, items)) = &child.content {
            return self.items(file, items, &place);
        }
        let found = candidates.iter().find(|path| self.texts.contains_key(path.as_str()));
        let found = found.with_context(|| format!("{file} declares {}, which has no file", child.ident))?;
        self.file(found, &place)
    }
}

fn head(item: &Item) -> (Option<&Ident>, &[Attribute]) {
    match item {
        Item::Const(item) => (Some(&item.ident), &item.attrs),
        Item::Enum(item) => (Some(&item.ident), &item.attrs),
        Item::Fn(item) => (Some(&item.sig.ident), &item.attrs),
        Item::Impl(item) => (None, &item.attrs),
        Item::Macro(item) => (item.ident.as_ref(), &item.attrs),
        Item::Mod(item) => (Some(&item.ident), &item.attrs),
        Item::Static(item) => (Some(&item.ident), &item.attrs),
        Item::Struct(item) => (Some(&item.ident), &item.attrs),
        Item::Trait(item) => (Some(&item.ident), &item.attrs),
        Item::Type(item) => (Some(&item.ident), &item.attrs),
        Item::Use(item) => (None, &item.attrs),
        _ => (None, &[]),
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    let conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    conditions.filter_map(|attribute| attribute.parse_args().ok()).any(|condition| wants_tests(&condition))
}

/// `test`, `doctest` and `all(test, …)`.
fn wants_tests(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test") || path.is_ident("doctest"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|conditions| conditions.iter().any(wants_tests)),
        _ => false,
    }
}

/// One name of a tree of imports.
struct Leaf {
    /// As the module calls it; none for a `*`.
    name: Option<String>,
    mention: Mention,
}

/// What an item imports; what it says is of another crate is left out.
fn leaves(import: &ItemUse) -> Vec<Leaf> {
    let mut found = Vec::new();
    if import.leading_colon.is_none() {
        collect_leaves(&import.tree, &[], &mut found);
    }
    found
}

fn collect_leaves(tree: &UseTree, prefix: &[String], found: &mut Vec<Leaf>) {
    let joined = |ident: &Ident| [prefix, &[ident.to_string()]].concat();
    let leaf = |name: Option<String>, path: Segments, line| Leaf { name, mention: Mention { path, line } };
    match tree {
        UseTree::Path(path) => collect_leaves(&path.tree, &joined(&path.ident), found),
        UseTree::Group(group) => {
            group.items.iter().for_each(|tree| collect_leaves(tree, prefix, found));
        }
        UseTree::Name(name) if name.ident == "self" => {
            found.push(leaf(prefix.last().cloned(), prefix.to_vec(), line(&name.ident)));
        }
        UseTree::Name(name) => {
            found.push(leaf(Some(name.ident.to_string()), joined(&name.ident), line(&name.ident)));
        }
        UseTree::Rename(name) => {
            let path = if name.ident == "self" { prefix.to_vec() } else { joined(&name.ident) };
            found.push(leaf(Some(name.rename.to_string()), path, line(&name.ident)));
        }
        UseTree::Glob(glob) => {
            let line = glob.star_token.spans[0].start().line;
            found.push(leaf(None, prefix.to_vec(), line));
        }
    }
}

fn line(ident: &Ident) -> usize {
    ident.span().start().line
}

/// Collects the paths in a piece of code.
struct Mentions<'a>(&'a mut Vec<Mention>);

impl<'ast> Visit<'ast> for Mentions<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(head(item).1) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.0.extend(leaves(item).into_iter().map(|leaf| leaf.mention));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let segments: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            let line = path.segments.first().map_or(0, |segment| line(&segment.ident));
            self.0.push(Mention { path: segments, line });
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        visit::visit_macro(self, mac);
        self.visit_tokens(mac.tokens.clone());
    }

    // Says who may see an item, and uses nobody.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

impl Mentions<'_> {
    /// What a macro makes of its input is unknown, but a path that begins with `crate` or `super` is one.
    fn visit_tokens(&mut self, tokens: TokenStream) {
        let mut path: Option<Mention> = None;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => match &mut path {
                    Some(path) if colons == 2 => path.path.push(ident.to_string()),
                    _ => {
                        self.0.extend(path.take());
                        if ident == "crate" || ident == "super" {
                            path = Some(Mention { path: vec![ident.to_string()], line: line(&ident) });
                        }
                    }
                },
                TokenTree::Punct(punct) if punct.as_char() == ':' && path.is_some() => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => {
                    self.0.extend(path.take());
                    self.visit_tokens(group.stream());
                }
                _ => self.0.extend(path.take()),
            }
            colons = 0;
        }
        self.0.extend(path);
    }
}
