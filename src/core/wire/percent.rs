//! Percent-encoding (RFC 3986 §2.1).

/// The bytes of `text` with percent-encodings decoded. A `%` without two hexadecimal digits stays.
pub fn decoded(text: &[u8]) -> impl Iterator<Item = u8> + Clone {
    let mut rest = text;
    core::iter::from_fn(move || {
        let encoded = rest.split_first_chunk::<3>().and_then(|([percent, high, low], after)| {
            let digit =
                |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
            let byte = digit(*high)? << 4 | digit(*low)?;
            (*percent == b'%').then_some((byte, after))
        });
        let (byte, after) = encoded.or_else(|| rest.split_first().map(|(byte, it)| (*byte, it)))?;
        rest = after;
        Some(byte)
    })
}
