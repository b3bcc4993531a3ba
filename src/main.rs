//! The `linkbeat` command.

fn main() {}
