//! Assembles one document from the sources of a page and compresses it, for `build.rs`.
//!
//! The style sheets and scripts are inserted into the `<style>` and `<script>` of the HTML file,
//! without indentation and without comment lines. Nothing else is changed.

use std::path::Path;
use std::{env, fs, io};

use hmac_sha256::Hash;
use zopfli::{Format, Options};

use super::base64::Base64;

/// The sources of a document, files beside this one.
pub(crate) struct Sources {
    /// The name of the document and of its HTML file.
    pub(crate) name: &'static str,
    /// The style sheets, in order.
    pub(crate) styles: &'static [&'static str],
    /// The scripts, in order.
    pub(crate) scripts: &'static [&'static str],
}

/// Writes `NAME.html` and `NAME.html.gz` into `OUT_DIR`. Returns environment variables for the program
/// about the document, as `NAME=VALUE`.
pub(crate) fn assemble(sources: &Sources) -> io::Result<Vec<String>> {
    let name = sources.name;
    let style = concatenate(sources.styles)?;
    let script = concatenate(sources.scripts)?;
    let document = read(&format!("{name}.html"))?
        .replace("<style></style>", &format!("<style>{style}</style>"))
        .replace("<script></script>", &format!("<script>{script}</script>"));
    let mut compressed = Vec::new();
    zopfli::compress(Options::default(), Format::Gzip, document.as_bytes(), &mut compressed)?;
    let directory = env::var("OUT_DIR").map_err(io::Error::other)?;
    let file = Path::new(&directory).join(format!("{name}.html"));
    fs::write(&file, &document)?;
    fs::write(file.with_extension("html.gz"), &compressed)?;
    let variable = |what: &str| format!("LINKBEAT_{}_{what}", name.to_uppercase());
    let tag: String =
        Hash::hash(&compressed).iter().take(8).map(|it| format!("{it:02x}")).collect();
    Ok(vec![
        format!("{}=\"{tag}\"", variable("ETAG")),
        // CSP 3 §2.3.1: the hash of everything between the tags.
        format!("{}='sha256-{}'", variable("STYLE"), Base64(&Hash::hash(style.as_bytes()))),
        format!("{}='sha256-{}'", variable("SCRIPT"), Base64(&Hash::hash(script.as_bytes()))),
    ])
}

fn read(name: &str) -> io::Result<String> {
    let text = fs::read_to_string(Path::new("src/page").join(name))?;
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty());
    Ok(lines.filter(|line| !is_comment(line)).flat_map(|line| [line, "\n"]).collect())
}

fn concatenate(names: &[&str]) -> io::Result<String> {
    names.iter().map(|name| read(name)).collect()
}

fn is_comment(line: &str) -> bool {
    line.starts_with("//") || line.starts_with("/*") && line.ends_with("*/")
}
