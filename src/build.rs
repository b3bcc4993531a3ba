//! Passes the time of the build to the program, because an earlier clock is wrong, and assembles
//! its pages.

use std::env;
use std::time::SystemTime;

use self::assemble::{Sources, assemble};

#[path = "page/assemble.rs"]
mod assemble;
#[path = "core/wire/base64.rs"]
#[expect(dead_code, unreachable_pub, reason = "a module of the core, whose encoder is needed")]
mod base64;

/// The documents of `page`.
const DOCUMENTS: [Sources; 2] = [
    Sources {
        name: "page",
        styles: &["base.css", "page.css"],
        scripts: &["base.js", "page.js", "day.js"],
    },
    Sources {
        name: "widget",
        styles: &["base.css", "widget.css"],
        scripts: &["base.js", "widget.js"],
    },
];

#[expect(clippy::disallowed_methods, reason = "a build has no event loop to read the clock for it")]
fn main() {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-changed=src");
    // With this variable, the same sources give the same binary.
    let built_s = match env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text.parse().unwrap_or_else(|_| {
            panic!("SOURCE_DATE_EPOCH must be seconds since 1970, not {text:?}")
        }),
        Err(_) => {
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |it| it.as_secs())
        }
    };
    println!("cargo::rustc-env=LINKBEAT_BUILT_S={built_s}");
    for sources in DOCUMENTS {
        let variables = assemble(&sources).unwrap_or_else(|error| {
            panic!("cannot make {} of the files in src/page: {error}", sources.name)
        });
        for variable in variables {
            println!("cargo::rustc-env={variable}");
        }
    }
}
