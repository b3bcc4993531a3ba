//! How the page looks: on a desk and on a phone, by day and by night.

use std::env;
use std::path::Path;

use linkbeat_support::agent::Setting;
use linkbeat_support::world::World;

use crate::browser::Browser;
use crate::live::{RARELY, agent};
use crate::tab::{DESK, PAGE, PHONE, Tab};

/// Every text that is seen and has less contrast than WCAG 2.2 §1.4.3 asks for.
const FAINT: &str = r"
(() => {
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (colour) => {
    const linear = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const [red, green, blue] = numbers(colour).map((it) => linear(it / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const paper = (node) => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const faint = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !node.checkVisibility() || node.closest('script')) continue;
    const [a, b] = [light(getComputedStyle(node).color), light(paper(node))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(`${texts.currentNode.data.trim()}: ${contrast}`);
  }
  return faint.join('; ');
})()";

/// Shows a day as a camera in the field may have it, because no test lasts one.
fn with_a_day(tab: &Tab<'_>) {
    tab.prepare(include_str!("day.js"));
}

fn fits(tab: &Tab<'_>) {
    let (whole, window) = ("document.documentElement.scrollWidth", "innerWidth");
    assert_eq!(tab.value(whole), tab.value(window), "wider than the window");
    let small = tab.value(
        "[...document.querySelectorAll('body *')].filter((it) => it.checkVisibility() && \
         parseFloat(getComputedStyle(it).fontSize) < 12).map((it) => it.outerHTML).join()",
    );
    assert_eq!(small, "", "too small to be read");
}

#[test]
fn page_fits_a_phone_and_is_readable_by_day_and_by_night() {
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(RARELY));
    let browser = Browser::start(&world);
    let tab = Tab::blank(&browser);
    with_a_day(&tab);
    tab.go(PAGE);
    tab.shows("#day-words", "2 outages");
    for (scheme, paper) in [("light", "rgb(252, 252, 251)"), ("dark", "rgb(20, 23, 26)")] {
        tab.prefer("prefers-color-scheme", scheme);
        assert_eq!(tab.value("getComputedStyle(document.body).backgroundColor"), paper);
        for (name, size) in [("desk", DESK), ("phone", PHONE)] {
            tab.size(size);
            fits(&tab);
            assert_eq!(tab.value(FAINT), "", "{scheme} on a {name}");
            tab.picture(&format!("{name}-{scheme}"));
        }
    }
    tab.is_clean();
}

#[test]
fn timeline_is_that_of_the_history() {
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(RARELY));
    let browser = Browser::start(&world);
    let tab = Tab::blank(&browser);
    with_a_day(&tab);
    tab.go(PAGE);
    tab.shows("#day-words", "2 outages, 12 min 0 s in all, the longest 7 min 0 s");
    let lengths = tab.value(
        "[...document.querySelectorAll('#day .track.day i')].map((it) => \
         `${it.className} ${Math.round(parseFloat(it.style.width) * 14.4)}`).join()",
    );
    // In minutes: a start, an outage, a server that is silent for a while, another outage.
    assert_eq!(lengths, "good 720,bad 7,good 213,warn 24,good 176,bad 5,good 252");
    tab.shows("#day", "wlan0");
    tab.click("#hours-table summary");
    tab.shows("#hours", "7 min 0 s");
    let rows = tab.value("document.querySelectorAll('#hours tr').length");
    assert_eq!(rows, 24);
    tab.shows("#reasons", "outage over");
    tab.shows("#failed", "3 timed_out");
    tab.wait("document.querySelectorAll('#events li').length === 12");
    tab.click("#more");
    tab.wait("document.querySelectorAll('#events li').length > 12");
    tab.is_clean();
}

#[test]
fn reduced_motion_is_respected() {
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(RARELY));
    let browser = Browser::start(&world);
    let tab = Tab::open(&browser, PAGE);
    let animation = "(() => { const dot = document.querySelector('#dot'); \
                     dot.classList.add('beat'); return getComputedStyle(dot).animationName; })()";
    assert_eq!(tab.value(animation), "beat");
    tab.prefer("prefers-reduced-motion", "reduce");
    assert_eq!(tab.value(animation), "none");
    tab.is_clean();
}

#[test]
fn picture_for_the_readme_can_be_taken() {
    let Some(file) = env::var_os("PAGE_PICTURE") else { return };
    let world = World::new();
    let _agent = agent(&world, &Setting::new(&world).every(30));
    let browser = Browser::start(&world);
    let tab = Tab::blank(&browser);
    with_a_day(&tab);
    tab.size((760, 600));
    tab.go(PAGE);
    tab.shows("#day-words", "2 outages");
    // What follows is a list.
    let list = tab.value("document.querySelector('#events-section').getBoundingClientRect().top");
    tab.picture_to(Path::new(&file), &list);
}
