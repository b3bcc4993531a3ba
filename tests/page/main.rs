//! The page and the widget in a real browser, over the real agent, in a network that breaks.
//!
//! `scripts/test page` sees to Chromium. What the pages look like is written to `target/page`.

#[cfg(test)]
mod browser;
#[cfg(test)]
mod live;
#[cfg(test)]
mod looks;
#[cfg(test)]
mod tab;
#[cfg(test)]
mod troubles;
#[cfg(test)]
mod widget;
