//! What a pure source names that reads a clock, rolls dice or does I/O.
//!
//! The source is parsed, so that every way to write an import is one: groups, globs, another name. Only what is
//! compiled for tests alone is left out, item by item.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, File, Macro, Meta, Path, PathArguments, UseTree};

/// What may not be named: neighbouring parts of a path.
const NAMES: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::os",
    "std::random",
    "time::Instant",
    "time::SystemTime",
    "time::UNIX_EPOCH",
    "Instant::now",
    "SystemTime::now",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "ToSocketAddrs",
    "io::stdin",
    "io::stdout",
    "io::stderr",
    "RandomState",
    "hash::DefaultHasher",
];

/// Tables whose order is from chance, unless they are given a hasher: as which argument.
const TABLES: &[(&str, usize)] = &[("HashMap", 3), ("HashSet", 2)];

/// Macros that write somewhere, or read the world when they are compiled.
const MACROS: &[&str] =
    &["print", "println", "eprint", "eprintln", "dbg", "thread_local", "env", "option_env"];

/// Everything impure that a source names outside its tests, as it is forbidden.
///
/// # Errors
/// It is no Rust.
pub(crate) fn impure(source: &str) -> syn::Result<Vec<String>> {
    let file: File = syn::parse_file(source)?;
    let mut found = Found::default();
    found.visit_file(&file);
    found.0.sort();
    found.0.dedup();
    Ok(found.0)
}

#[derive(Default)]
struct Found(Vec<String>);

impl Found {
    fn path(&mut self, parts: &[String]) {
        let names = |name: &&&str| {
            let name: Vec<&str> = name.split("::").collect();
            parts.windows(name.len()).any(|window| window == name)
        };
        self.0.extend(NAMES.iter().filter(names).map(|name| (*name).to_owned()));
    }

    /// An import of everything in a module in which something may not be named.
    fn glob(&mut self, parts: &[String]) {
        let all = parts.join("::");
        let within = |name: &&&str| {
            name.rsplit_once("::").is_some_and(|(module, _)| all == module || all == format!("std::{module}"))
        };
        if all == "std" || all == "std::net" || NAMES.iter().any(|name| within(&name)) {
            self.0.push(format!("{all}::*"));
        }
    }

    fn tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(before, tree)),
            UseTree::Name(name) if name.ident == "self" => self.path(before),
            UseTree::Name(name) => self.path(&with(&name.ident)),
            UseTree::Glob(_) => self.glob(before),
            UseTree::Rename(rename) => {
                let path = if rename.ident == "self" { before.to_vec() } else { with(&rename.ident) };
                self.path(&path);
                // By another name than its own a module's contents could not be told, nor a table.
                let last = path.last().map(String::as_str).unwrap_or_default();
                let hides =
                    last.starts_with(char::is_lowercase) || TABLES.iter().any(|(name, _)| *name == last);
                if hides && rename.rename != "_" && path.first().is_some_and(|first| first == "std") {
                    self.0.push(format!("{} as {}", path.join("::"), rename.rename));
                }
            }
        }
    }

    /// What is given to a macro is no syntax yet: its words and the paths that they make.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut parts: Vec<String> = Vec::new();
        let mut colons = 0;
        let mut before = None;
        for token in tokens {
            match token {
                TokenTree::Ident(word) => {
                    if colons != 2 {
                        self.path(&std::mem::take(&mut parts));
                    }
                    parts.push(word.to_string());
                    (colons, before) = (0, Some(word.to_string()));
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                other => {
                    self.path(&std::mem::take(&mut parts));
                    colons = 0;
                    match other {
                        TokenTree::Punct(mark) if mark.as_char() == '!' => {
                            self.0.extend(before.take().filter(|m| is_macro(m)).map(|m| m + "!"));
                        }
                        TokenTree::Group(group) => self.tokens(group.stream()),
                        _ => before = None,
                    }
                }
            }
        }
        self.path(&parts);
    }
}

fn is_macro(name: &str) -> bool {
    MACROS.contains(&name)
}

/// Whether something is compiled for tests alone.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) => {
            list.path.is_ident("cfg") && {
                let condition = list.tokens.to_string().replace(' ', "");
                condition == "test" || condition.starts_with("all(test,")
            }
        }
        Meta::NameValue(_) => false,
    })
}

impl<'a> Visit<'a> for Found {
    fn visit_item(&mut self, item: &'a syn::Item) {
        use syn::Item::{Const, Enum, ExternCrate, Fn, Impl, Macro, Mod, Static, Struct, Trait, Type, Use};
        let attributes = match item {
            Const(i) => &i.attrs,
            Enum(i) => &i.attrs,
            ExternCrate(i) => &i.attrs,
            Fn(i) => &i.attrs,
            Impl(i) => &i.attrs,
            Macro(i) => &i.attrs,
            Mod(i) => &i.attrs,
            Static(i) => &i.attrs,
            Struct(i) => &i.attrs,
            Trait(i) => &i.attrs,
            Type(i) => &i.attrs,
            Use(i) => &i.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_item_extern_crate(&mut self, item: &'a syn::ItemExternCrate) {
        if item.ident == "std" {
            self.0.push("extern crate std".to_owned());
        }
    }

    fn visit_path(&mut self, path: &'a Path) {
        let parts: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.path(&parts);
        for (at, segment) in path.segments.iter().enumerate() {
            let Some((name, hasher)) = TABLES.iter().find(|(name, _)| segment.ident == name) else {
                continue;
            };
            let given = match &segment.arguments {
                PathArguments::AngleBracketed(arguments) => arguments.args.len() >= *hasher,
                _ => parts
                    .get(at + 1)
                    .is_some_and(|made| made.ends_with("with_hasher") || made.ends_with("and_hasher")),
            };
            if !given {
                self.0.push(format!("{name} without a hasher"));
            }
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a Macro) {
        let name = call.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
        if is_macro(&name) {
            self.0.push(format!("{name}!"));
        }
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

#[test]
fn each_way_to_name_what_is_impure_is_seen() {
    for (source, found) in [
        // Each name, imported and used in place.
        ("use std::fs;", "std::fs"),
        ("fn f() { std::fs::read(x) }", "std::fs"),
        ("fn f() { ::std::env::var(x) }", "std::env"),
        ("use std::process::Command;", "std::process"),
        ("fn f() { std::thread::sleep(d) }", "std::thread"),
        ("use std::os::fd::AsFd;", "std::os"),
        ("use std::random::random;", "std::random"),
        ("use std::time::Instant;", "time::Instant"),
        ("use std::time; fn f() -> time::Instant { x }", "time::Instant"),
        ("fn f(now: std::time::SystemTime) {}", "time::SystemTime"),
        ("use std::time::UNIX_EPOCH;", "time::UNIX_EPOCH"),
        ("fn f() { Instant::now() }", "Instant::now"),
        ("fn f() { SystemTime::now() }", "SystemTime::now"),
        ("use std::net; fn f() { net::UdpSocket::bind(a) }", "UdpSocket"),
        ("struct S { s: std::net::TcpStream }", "TcpStream"),
        ("type T = Option<std::net::TcpListener>;", "TcpListener"),
        ("impl Into<UnixStream> for S {}", "UnixStream"),
        ("fn f<T: From<UnixListener>>() {}", "UnixListener"),
        ("fn f() -> UnixDatagram { x }", "UnixDatagram"),
        ("fn f(a: impl std::net::ToSocketAddrs) {}", "ToSocketAddrs"),
        ("use std::io; fn f() { io::stdin() }", "io::stdin"),
        ("use std::io::stdout;", "io::stdout"),
        ("fn f() { std::io::stderr() }", "io::stderr"),
        ("type H = std::hash::RandomState;", "RandomState"),
        ("struct S { m: HashMap<u8, u8> }", "HashMap without a hasher"),
        ("fn f() -> std::collections::HashSet<u8> { x }", "HashSet without a hasher"),
        ("fn f() { HashMap::<u8, u8>::new() }", "HashMap without a hasher"),
        ("fn f() { HashSet::from([1]) }", "HashSet without a hasher"),
        ("fn f() { x.collect::<HashSet<_>>() }", "HashSet without a hasher"),
        ("use std::collections::HashMap as Map;", "std::collections::HashMap as Map"),
        ("use std::hash::DefaultHasher;", "hash::DefaultHasher"),
        // Groups, globs and other names.
        ("use std::{fmt, fs};", "std::fs"),
        ("use std::{fmt, fs::{self, File}};", "std::fs"),
        ("use std::{net::{IpAddr, UdpSocket}, time::Duration};", "UdpSocket"),
        ("use std::{time::{Duration, Instant as Moment}};", "time::Instant"),
        ("use std::time::*;", "std::time::*"),
        ("use std::net::*;", "std::net::*"),
        ("use std::*;", "std::*"),
        ("use std::{io::*};", "std::io::*"),
        ("use std::net as network;", "std::net as network"),
        ("use std::{net::{self as network}};", "std::net as network"),
        ("extern crate std as world;", "extern crate std"),
        // Macros, and what is given to them.
        ("fn f() { println!(\"x\") }", "println!"),
        ("fn f() { std::eprintln!(\"x\") }", "eprintln!"),
        ("fn f() { print!(\"x\"); }", "print!"),
        ("fn f() { eprint!(\"x\"); }", "eprint!"),
        ("fn f() { dbg!(x); }", "dbg!"),
        ("thread_local! { static X: u8 = 1; }", "thread_local!"),
        ("const X: &str = env!(\"HOME\");", "env!"),
        ("const X: Option<&str> = option_env!(\"HOME\");", "option_env!"),
        ("fn f() { assert!(std::fs::exists(x)); }", "std::fs"),
        ("macro_rules! m { () => { Instant::now() }; }", "Instant::now"),
        ("macro_rules! m { () => { vec![println!(\"x\")] }; }", "println!"),
        // After, beside and within what is for tests.
        ("#[cfg(test)] mod tests; use std::fs;", "std::fs"),
        ("#[cfg(test)] mod tests { use std::fs; } fn f() { Instant::now() }", "Instant::now"),
        ("#[cfg(test)] use std::fmt; use std::env;", "std::env"),
        ("#[cfg(not(test))] use std::fs;", "std::fs"),
        ("#[cfg(any(test, unix))] use std::fs;", "std::fs"),
        ("impl S { #[cfg(test)] fn f() {} fn g() { std::fs::read(x) } }", "std::fs"),
        ("mod inner { mod inmost { use std::fs; } }", "std::fs"),
    ] {
        let seen = impure(source).unwrap_or_else(|e| panic!("{source}: {e}"));
        assert!(seen.iter().any(|name| name == found), "{source}: {seen:?}");
    }
}

#[test]
fn what_is_pure_or_for_tests_is_let_be() {
    for source in [
        "use std::time::Duration; use std::net::{IpAddr, Ipv4Addr}; use std::fmt::Write as _;",
        "use std::collections::{BTreeMap, btree_map}; use std::io::{self, Write};",
        "use std::collections::{HashMap, hash_map::Entry}; type T<K, V> = HashMap<K, V, Mix>;",
        "fn f() { HashMap::with_hasher(mix); HashSet::<u8, Mix>::default() }",
        "use std::{fmt, sync::Arc}; fn f(instant: u64) { instant_now(fs) }",
        "// std::fs, and println! in a comment\nfn f() -> &'static str { \"std::fs::read\" }",
        "/// As `std::time::Instant` would.\nfn f() {}",
        "#[cfg(test)] mod tests { use std::fs; fn f() { println!(\"x\") } }",
        "#[cfg(all(test, unix))] use std::fs;",
        "#[test] fn f() { std::fs::read(x) }",
        "impl S { #[cfg(test)] fn f() { std::fs::read(x) } }",
        "fn f() { assert_eq!(a::b, c, \"{}\", time::Duration::ZERO); format!(\"{x}\"); }",
    ] {
        assert_eq!(
            impure(source).unwrap_or_else(|e| panic!("{source}: {e}")),
            Vec::<String>::new(),
            "{source}"
        );
    }
}
