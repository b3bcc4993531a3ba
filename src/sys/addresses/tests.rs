use super::*;

const ROW: &str = "20010db8000100000000000000000010 6f 40 00 80     eth0";

fn flags(flags: &str) -> Option<OwnAddress> {
    parse_row(&ROW.replace(" 80 ", &format!(" {flags} ")))
}

#[test]
fn row_has_address_and_interface() {
    let own = parse_row(ROW).unwrap();
    assert_eq!(own.address, "2001:db8:1::10".parse::<Ipv6Addr>().unwrap());
    assert_eq!((own.index, own.name.as_str()), (LinkIndex(111), "eth0"));
}

#[test]
fn addresses_of_the_link_and_unusable_ones_are_left_out() {
    assert_eq!(parse_row("fe80000000000000c45bd5fffe7f7dab 02 40 20 c0     eth0"), None);
    assert_eq!(parse_row("00000000000000000000000000000001 01 80 10 80       lo"), None);
    assert_eq!(flags("c0"), None, "tentative");
    assert_eq!(flags("c8"), None, "duplicate");
    assert!(flags("c4").is_some(), "optimistic");
    assert!(flags("a0").unwrap().deprecated);
}

#[test]
fn deprecated_addresses_come_last_and_a_name_that_is_not_utf_8_hides_no_other() {
    let (odd, deprecated) = (ROW.replace("eth0", "eth?"), ROW.replace(" 80 ", " a0 "));
    let mut table = [&odd, &deprecated, ROW].join("\n").into_bytes();
    table[odd.len() - 1] = 0xff;
    let parsed = parse(&table);
    assert_eq!(parsed.iter().map(|own| own.deprecated).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn what_is_no_row_is_skipped() {
    for row in ["", "x", "20010db8", &ROW[..40], &ROW[..48], &ROW.replace("6f", "zz")] {
        assert_eq!(parse_row(row), None, "{row}");
    }
}
